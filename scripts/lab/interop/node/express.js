// express-oauth2-jwt-bearer: npm install express express-oauth2-jwt-bearer (run by `npm run interop`; to be copied)
import express from 'express'
import { auth } from 'express-oauth2-jwt-bearer'

const { ISSUER, AUDIENCE } = process.env
const app = express()
app.use(
  auth({
    issuer: ISSUER,
    jwksUri: `${ISSUER}/.well-known/jwks.json`,
    audience: AUDIENCE,
    tokenSigningAlg: 'RS256',
    strict: true, // typ at+jwt and the claims of RFC 9068
    clockTolerance: 5,
    cacheMaxAge: 300_000,
  }),
)
app.get('/', (req, res) => res.json({ sub: req.auth.payload.sub }))
const server = app.listen(process.env.PORT ?? 0, '127.0.0.1', () =>
  console.log(`http://127.0.0.1:${server.address().port}`),
)
