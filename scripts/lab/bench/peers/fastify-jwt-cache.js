// Started by `npm run bench -- --all`. JavaScript: tsc could not check it, as its packages are not in our install.
// The fastest that @fastify/jwt can do: one fixed key, and fast-jwt's own cache of verified tokens. No rotation, no
// revocation.
import fastifyJwt from '@fastify/jwt'
import Fastify from 'fastify'

const { port, reply, publicPem } = JSON.parse(process.argv[2])
const app = Fastify()

app.register(fastifyJwt, { secret: { public: publicPem }, verify: { algorithms: ['RS256'], cache: true } })
app.addHook('onRequest', async (request) => {
  await request.jwtVerify()
})
app.get('/v1/me', { schema: { response: { 200: reply.schema } } }, (_request, answer) => {
  answer.send(JSON.parse(reply.body))
})
await app.listen({ host: '127.0.0.1', port })
