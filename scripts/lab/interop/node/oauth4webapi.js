// oauth4webapi: npm install oauth4webapi (run by `npm run interop`; JavaScript, to be copied)
import { createInterface } from 'node:readline'
import { discoveryRequest, processDiscoveryResponse, validateJwtAccessToken } from 'oauth4webapi'

const { ISSUER, AUDIENCE } = process.env
if (!AUDIENCE) throw new Error('set AUDIENCE')
const issuer = new URL(ISSUER)
const server = await processDiscoveryResponse(issuer, await discoveryRequest(issuer, { algorithm: 'oauth2' }))

/** Checks what RFC 9068 demands, of a Request as servers with the Fetch API get it. */
const verify = (request) => validateJwtAccessToken(server, request, AUDIENCE, { signingAlgorithms: ['RS256'] })

// A token a line
for await (const token of createInterface({ input: process.stdin })) {
  const request = new Request('https://api.example.com', { headers: { authorization: `Bearer ${token}` } })
  console.log(
    await verify(request).then(
      ({ sub }) => `accepted ${sub}`,
      (error) => `refused ${error.code ?? error.message}`,
    ),
  )
}
