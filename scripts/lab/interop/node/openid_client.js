// openid-client: npm install openid-client
import { clientCredentialsGrant, discovery } from 'openid-client'

const { ISSUER, CLIENT_ID, CLIENT_SECRET } = process.env
const server = await discovery(new URL(ISSUER), CLIENT_ID, CLIENT_SECRET, undefined, { algorithm: 'oauth2' })
const { access_token, expires_in } = await clientCredentialsGrant(server, { scope: 'invoices:read' })
console.log(JSON.stringify({ access_token, expires_in })) // a secret: in your service, keep it in memory until shortly before it ends
