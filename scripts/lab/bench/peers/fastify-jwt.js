// Started by `npm run bench -- --all`. JavaScript: tsc could not check it, as its packages are not in our install.
// @fastify/jwt with keys from the issuer's JWKS, as the README of either package shows it.
import fastifyJwt from '@fastify/jwt'
import Fastify from 'fastify'
import buildGetJwks from 'get-jwks'

const { port, reply } = JSON.parse(process.argv[2])
const app = Fastify()
const getJwks = buildGetJwks()

app.register(fastifyJwt, {
  decode: { complete: true },
  secret: (_request, { header, payload }) =>
    getJwks.getPublicKey({ kid: header.kid, alg: header.alg, domain: payload.iss }),
})
app.addHook('onRequest', async (request) => {
  await request.jwtVerify()
})
app.get('/v1/me', { schema: { response: { 200: reply.schema } } }, (_request, answer) => {
  answer.send(JSON.parse(reply.body))
})
await app.listen({ host: '127.0.0.1', port })
