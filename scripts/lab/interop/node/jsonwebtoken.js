// jsonwebtoken with jwks-rsa: npm install jsonwebtoken jwks-rsa (run by `npm run interop`; to be copied)
import { createInterface } from 'node:readline'
import jwt from 'jsonwebtoken'
import { JwksClient } from 'jwks-rsa'

const { ISSUER, AUDIENCE } = process.env
if (!ISSUER || !AUDIENCE) throw new Error('set ISSUER and AUDIENCE') // undefined would mean: do not check
const REQUIRED = ['sub', 'client_id', 'iat', 'exp', 'jti']
const client = new JwksClient({
  jwksUri: `${ISSUER}/.well-known/jwks.json`,
  cacheMaxAge: 300_000,
  rateLimit: true, // a flood of unknown kids must not become a flood of requests
  timeout: 5000,
})
const getKey = ({ kid }, done) =>
  client.getSigningKey(kid).then(
    (key) => done(null, key.getPublicKey()),
    (error) => done(error),
  )

const verify = (token) =>
  new Promise((resolve, reject) => {
    const options = { algorithms: ['RS256'], issuer: ISSUER, audience: AUDIENCE, clockTolerance: 5, complete: true }
    jwt.verify(token, getKey, options, (error, verified) => {
      if (error) return reject(error)
      const { header, payload } = verified
      const complete = REQUIRED.every((name) => payload[name] !== undefined)
      if (header.typ?.toLowerCase() !== 'at+jwt' || !complete || !(payload.exp - payload.iat <= 900))
        return reject(new Error('not an access token'))
      resolve(payload)
    })
  })

// A token a line
for await (const token of createInterface({ input: process.stdin })) {
  console.log(
    await verify(token).then(
      ({ sub }) => `accepted ${sub}`,
      (error) => `refused ${error.message}`,
    ),
  )
}
