// Express with an open route and nothing else: the measuring rod of its guards.
import express from 'express'

const { port } = JSON.parse(process.argv[2])
const app = express()
app.get('/me', (_req, res) => res.json({ sub: 'acc_0123456789abcdefghijkl' }))
app.listen(port, '127.0.0.1')
