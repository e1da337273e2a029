// Started by `npm run bench -- --all`. JavaScript: tsc could not check it, as its packages are not in our install.
// The usual alternative to stateless tokens: a session cookie, and the session in Redis. @fastify/session with
// connect-redis.
import fastifyCookie from '@fastify/cookie'
import fastifySession from '@fastify/session'
import { RedisStore } from 'connect-redis'
import Fastify from 'fastify'
import { createClient } from 'redis'

const { port, reply, redisPort } = JSON.parse(process.argv[2])
const client = createClient({ url: `redis://127.0.0.1:${redisPort}` })
await client.connect()

const app = Fastify()
app.register(fastifyCookie)
app.register(fastifySession, {
  secret: 'for a benchmark on loopback, and nothing else',
  cookie: { secure: false },
  saveUninitialized: false,
  rolling: false,
  store: new RedisStore({ client }),
})
app.post('/login', async (request) => {
  request.session.user = JSON.parse(reply.body)
  return {}
})
app.get('/v1/me', { schema: { response: { 200: reply.schema } } }, (request, answer) => {
  if (request.session.user === undefined) answer.code(401)
  answer.send(request.session.user)
})
await app.listen({ host: '127.0.0.1', port })
