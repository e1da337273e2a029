import Fastify from 'fastify'

// The measuring rod: one open route with the reply and the reply schema of Signet's, and nothing else. Run by server-process.ts.
const [host = '', port = '', reply = ''] = process.argv.slice(2)
const { body, schema } = JSON.parse(reply)
const me = JSON.parse(body)

const app = Fastify({ logger: false })
app.get('/v1/me', { schema: { response: { 200: schema } } }, (_request, reply) => {
  reply.send(me)
})
await app.listen({ host, port: Number(port) })

// Ending by exit() writes the compile cache, as Signet's own end does.
process.once('SIGTERM', () => process.exit(0))
