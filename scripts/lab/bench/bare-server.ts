import { createPublicKey, verify } from 'node:crypto'
import Fastify from 'fastify'

// The server that Signet is compared with: one open route with the same reply and reply schema, and nothing else. With
// a public key it also verifies one signature per request, the one cost that no server can avoid. Started by
// server-process.ts.
const [host = '', port = '', reply = ''] = process.argv.slice(2)
const { body, schema, publicPem } = JSON.parse(reply)
const me = JSON.parse(body)
const key = publicPem === undefined ? undefined : createPublicKey(publicPem)

const app = Fastify({ logger: false })
app.get('/v1/me', { schema: { response: { 200: schema } } }, (request, reply) => {
  if (key !== undefined) {
    const token = request.headers.authorization?.slice('Bearer '.length) ?? ''
    const dot = token.lastIndexOf('.')
    const good = verify('sha256', Buffer.from(token.slice(0, dot)), key, Buffer.from(token.slice(dot + 1), 'base64url'))
    if (!good) throw new Error('the signature is not good')
  }
  reply.send(me)
})
await app.listen({ host, port: Number(port) })

// Ending by exit() writes the compile cache, as the end of Signet does.
process.once('SIGTERM', () => process.exit(0))
