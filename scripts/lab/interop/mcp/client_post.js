// As client.js, with the secret in the form (client_secret_post): the SDK prefers Basic where a server has both.
import { ClientCredentialsProvider } from '@modelcontextprotocol/sdk/client/auth-extensions.js'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'

const { RESOURCE, CLIENT_ID: clientId, CLIENT_SECRET: clientSecret, ISSUER: expectedIssuer } = process.env
const authProvider = new ClientCredentialsProvider({ clientId, clientSecret, expectedIssuer })
authProvider.saveClientInformation({
  ...authProvider.clientInformation(),
  token_endpoint_auth_method: 'client_secret_post',
})

const client = new Client({ name: 'example', version: '1.0.0' })
await client.connect(new StreamableHTTPClientTransport(new URL(RESOURCE), { authProvider }))
const { content } = await client.callTool({ name: 'whoami' })
console.log(content[0].text)
await client.close()
