// An MCP server: npm install @modelcontextprotocol/sdk express signet-verifier
// The operator lets a client have it as audience: npm run clients -- create --name agent --audience "$RESOURCE"
import { InvalidTokenError } from '@modelcontextprotocol/sdk/server/auth/errors.js'
import { requireBearerAuth } from '@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import express from 'express'
import { createVerifier } from 'signet-verifier'
import { mcpTokenVerifier } from 'signet-verifier/mcp'

const { ISSUER, RESOURCE, PORT } = process.env // RESOURCE is the URL of this server, as its clients have it
const verifier = createVerifier({ issuer: ISSUER, audience: RESOURCE, resource: RESOURCE, revocations: true })
const metadata = verifier.protectedResource()
const bearer = requireBearerAuth({
  verifier: mcpTokenVerifier(verifier, { invalidToken: (text) => new InvalidTokenError(text) }),
  resourceMetadataUrl: metadata.url,
  expectedResource: new URL(RESOURCE),
})

function tools() {
  const server = new McpServer({ name: 'example', version: '1.0.0' })
  server.registerTool('whoami', { description: 'Who is calling' }, ({ authInfo }) => ({
    content: [{ type: 'text', text: authInfo.clientId }],
  }))
  return server
}

const app = express()
app.get(metadata.path, (_request, reply) => reply.set('access-control-allow-origin', '*').json(metadata.body))
app.post(new URL(RESOURCE).pathname, bearer, express.json(), async (request, reply) => {
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined }) // one for each call
  reply.on('close', () => transport.close())
  await tools().connect(transport)
  await transport.handleRequest(request, reply, request.body)
})
app.listen(PORT, '127.0.0.1')
