// aws-jwt-verify: npm install aws-jwt-verify (run by `npm run interop`; JavaScript, to be copied)
import { createInterface } from 'node:readline'
import { JwtRsaVerifier } from 'aws-jwt-verify'

const { ISSUER, AUDIENCE } = process.env
const REQUIRED = ['sub', 'client_id', 'iat', 'exp', 'jti']
const verifier = JwtRsaVerifier.create({
  issuer: ISSUER,
  audience: AUDIENCE,
  jwksUri: `${ISSUER}/.well-known/jwks.json`,
  graceSeconds: 5,
  customJwtCheck: ({ header, payload }) => {
    const complete = REQUIRED.every((name) => payload[name] !== undefined)
    if (
      header.alg !== 'RS256' ||
      header.typ?.toLowerCase() !== 'at+jwt' ||
      !complete ||
      !(payload.exp - payload.iat <= 900)
    )
      throw new Error('not an access token')
  },
})

// A token a line
for await (const token of createInterface({ input: process.stdin })) {
  console.log(
    await verifier.verify(token).then(
      ({ sub }) => `accepted ${sub}`,
      (error) => `refused ${error.message}`,
    ),
  )
}
