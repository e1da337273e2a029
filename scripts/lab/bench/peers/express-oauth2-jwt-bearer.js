// Started by `npm run bench -- --all`. JavaScript: tsc could not check it, as its packages are not in our install.
// Express behind express-oauth2-jwt-bearer: issuer and audience, as its README shows it.
import express from 'express'
import { auth } from 'express-oauth2-jwt-bearer'

const { port, issuer, reply } = JSON.parse(process.argv[2])
const app = express()
app.use(auth({ issuerBaseURL: issuer, audience: issuer }))
app.get('/v1/me', (_req, res) => res.json(JSON.parse(reply.body)))
app.get('/me', (req, res) => res.json({ sub: req.auth.payload.sub }))
app.listen(port, '127.0.0.1')
