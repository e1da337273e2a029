// An MCP client: npm install @modelcontextprotocol/client
import { readFileSync } from 'node:fs'
import {
  Client,
  ClientCredentialsProvider,
  PrivateKeyJwtProvider,
  StreamableHTTPClientTransport,
} from '@modelcontextprotocol/client'

const { RESOURCE, CLIENT_ID: clientId, CLIENT_SECRET: clientSecret, PRIVATE_KEY_FILE: keyFile } = process.env
// With the issuer the secret goes nowhere else, whatever the MCP server says. Set it where you know it.
const expectedIssuer = process.env.ISSUER
const authProvider = keyFile
  ? new PrivateKeyJwtProvider({
      clientId,
      privateKey: readFileSync(keyFile, 'utf8'),
      algorithm: 'RS256',
      expectedIssuer,
    })
  : new ClientCredentialsProvider({ clientId, clientSecret, expectedIssuer })

const client = new Client({ name: 'example', version: '1.0.0' })
await client.connect(new StreamableHTTPClientTransport(new URL(RESOURCE), { authProvider }))
const { content } = await client.callTool({ name: 'whoami' })
console.log(content[0].text)
await client.close()
