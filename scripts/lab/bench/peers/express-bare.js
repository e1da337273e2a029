// Started by `npm run bench -- --all`. JavaScript: tsc could not check it, as its packages are not in our install.
// Express with an open route and nothing else: what the guards on Express are compared with.
import express from 'express'

const { port } = JSON.parse(process.argv[2])
const app = express()
app.get('/me', (_req, res) => res.json({ sub: 'acc_0123456789abcdefghijkl' }))
app.listen(port, '127.0.0.1')
