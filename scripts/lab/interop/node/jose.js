// jose: npm install jose (run by `npm run interop`; JavaScript, to be copied)
import { createInterface } from 'node:readline'
import { createRemoteJWKSet, jwtVerify } from 'jose'

const { ISSUER, AUDIENCE } = process.env
if (!ISSUER || !AUDIENCE) throw new Error('set ISSUER and AUDIENCE') // undefined would mean: do not check
const keys = createRemoteJWKSet(new URL(`${ISSUER}/.well-known/jwks.json`), { cacheMaxAge: 300_000 })

async function verify(token) {
  const { payload } = await jwtVerify(token, keys, {
    algorithms: ['RS256'],
    typ: 'at+jwt',
    issuer: ISSUER,
    audience: AUDIENCE,
    requiredClaims: ['sub', 'client_id', 'iat', 'exp', 'jti'],
    maxTokenAge: 900,
    clockTolerance: 5,
  })
  return payload
}

// A token a line
for await (const token of createInterface({ input: process.stdin })) {
  console.log(
    await verify(token).then(
      ({ sub }) => `accepted ${sub}`,
      (error) => `refused ${error.code ?? error}`,
    ),
  )
}
