// An MCP server: npm install @modelcontextprotocol/{server,node,express} express signet-verifier
import { createMcpExpressApp, requireBearerAuth } from '@modelcontextprotocol/express'
import { NodeStreamableHTTPServerTransport } from '@modelcontextprotocol/node'
import { McpServer, OAuthError, OAuthErrorCode } from '@modelcontextprotocol/server'
import { createVerifier } from 'signet-verifier'
import { mcpTokenVerifier } from 'signet-verifier/mcp'

const { ISSUER, RESOURCE, PORT } = process.env // RESOURCE is the URL of this server, as its clients have it
const verifier = createVerifier({ issuer: ISSUER, audience: RESOURCE, resource: RESOURCE, revocations: true })
const metadata = verifier.protectedResource()
const bearer = requireBearerAuth({
  verifier: mcpTokenVerifier(verifier, { invalidToken: (text) => new OAuthError(OAuthErrorCode.InvalidToken, text) }),
  resourceMetadataUrl: metadata.url,
  expectedResource: new URL(RESOURCE),
})

function tools() {
  const server = new McpServer({ name: 'example', version: '1.0.0' })
  server.registerTool('whoami', { description: 'Who is calling' }, ({ http }) => ({
    content: [{ type: 'text', text: http.authInfo.clientId }],
  }))
  return server
}

const app = createMcpExpressApp() // parses JSON
app.get(metadata.path, (_request, reply) => reply.set('access-control-allow-origin', '*').json(metadata.body))
app.post(new URL(RESOURCE).pathname, bearer, async (request, reply) => {
  const transport = new NodeStreamableHTTPServerTransport({ sessionIdGenerator: undefined })
  reply.on('close', () => transport.close())
  await tools().connect(transport)
  await transport.handleRequest(request, reply, request.body)
})
app.listen(PORT, '127.0.0.1')
