// openid-client: npm install openid-client (run by `npm run interop`; JavaScript, to be copied)
import { clientCredentialsGrant, discovery } from 'openid-client'

const { ISSUER, CLIENT_ID, CLIENT_SECRET } = process.env
const server = await discovery(new URL(ISSUER), CLIENT_ID, CLIENT_SECRET, undefined, { algorithm: 'oauth2' })
const { access_token, expires_in } = await clientCredentialsGrant(server, { scope: 'invoices:read' })
// The token is a secret. In your service, keep it in memory until shortly before it expires.
console.log(JSON.stringify({ access_token, expires_in }))
