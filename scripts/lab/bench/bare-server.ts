import { createPublicKey, verify } from 'node:crypto'
import Fastify from 'fastify'

// The measuring rod: one open route with the reply and the reply schema of Signet's, and nothing else; with a public key also the
// one signature check per request that nobody can do without. Run by server-process.ts.
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

// Ending by exit() writes the compile cache, as Signet's own end does.
process.once('SIGTERM', () => process.exit(0))
