import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { AppError } from '../../src/errors/app-error.ts'
import { fastifySignet } from '../../src/verifier/fastify.ts'
import { createVerifier, toResponse, type VerifierOptions } from '../../src/verifier/index.ts'
import { mcpTokenVerifier } from '../../src/verifier/mcp.ts'
import { bearer } from '../support/app.ts'
import { verifying } from './verifying.ts'

const ISSUER = 'https://signet.example'
const RESOURCE = 'https://api.example.com/mcp'
const URL_OF_METADATA = 'https://api.example.com/.well-known/oauth-protected-resource/mcp'
const NAMED = `resource_metadata="${URL_OF_METADATA}"`

t.test('with the option resource the verifier has the metadata, and every challenge says where it is', async (t) => {
  const { verifier, mint } = await verifying(t, { resource: RESOURCE, scopesSupported: ['tools'] })
  t.same(verifier.protectedResource(), {
    path: '/.well-known/oauth-protected-resource/mcp',
    url: URL_OF_METADATA,
    body: {
      resource: RESOURCE,
      authorization_servers: [ISSUER],
      bearer_methods_supported: ['header'],
      scopes_supported: ['tools'],
    },
  })
  const line = (token: string) => ({ rawHeaders: ['Authorization', `Bearer ${token}`] })
  const good = line(mint.token())
  const refused = {
    missing_token: verifier.authenticate({ rawHeaders: [] }),
    invalid_request: verifier.authenticate({ rawHeaders: [...good.rawHeaders, ...good.rawHeaders] }),
    invalid_token: verifier.authenticate(line('x')),
    token_expired: verifier.verify(mint.token({ claims: { iat: mint.now - 900, exp: mint.now - 300 } })),
    insufficient_scope: verifier.authenticate(good, { scope: ['tools'] }),
    insufficient_user_authentication: verifier.authenticate(good, { maxAuthAge: 60 }),
  }
  for (const [code, promise] of Object.entries(refused)) {
    const error = await promise.then(
      () => undefined,
      (error) => error,
    )
    t.equal(error?.code, code)
    t.match(toResponse(error).headers['www-authenticate'], NAMED, code)
    t.equal(toResponse(error).headers['www-authenticate']?.split('resource_metadata').length, 2, 'once')
  }
  t.match(
    toResponse(await refused.insufficient_scope.catch((error) => error)).headers['www-authenticate'],
    /scope="tools"/,
  )
})

t.test('without it nothing is said, and a resource that no client could compare is refused by name', async (t) => {
  const { verifier } = await verifying(t)
  t.equal(verifier.protectedResource(), undefined)
  const error = await verifier.verify('x').catch((error) => error)
  t.notMatch(toResponse(error).headers['www-authenticate'], /resource_metadata/)
  const refusal = (more: Partial<VerifierOptions>) => {
    try {
      createVerifier({ issuer: ISSUER, audience: 'a', ...more }).close()
      return 'accepted'
    } catch (error) {
      return error instanceof TypeError ? error.message : 'another error'
    }
  }
  t.match(refusal({ scopesSupported: ['a'] }), /scopesSupported: it has no effect without resource/)
  t.match(refusal({ resource: 'http://api.internal' }), /resource: http:\/\/api\.internal is not https/)
  t.equal(refusal({ resource: 'http://api.internal', insecureIssuer: true }), 'accepted')
  t.match(refusal({ resource: '' }), /resource: the URL of this service/)
  t.match(refusal({ resource: null as never }), /resource: the URL of this service/)
  t.match(refusal({ resource: RESOURCE, scopesSupported: 'tools' as never }), /scopesSupported: a list/)
})

/** An app with the plugin. `before` adds routes before it. */
async function service(t: Test, before: (app: FastifyInstance) => void = () => undefined, prefix = '') {
  const { issuer, mint } = await verifying(t)
  const log: string[] = []
  const app = Fastify({ logger: { stream: { write: (line) => void log.push(line) } } })
  t.teardown(() => app.close())
  before(app)
  const options = { issuer: ISSUER, audience: ISSUER, resource: RESOURCE, fetch: issuer.fetch, now: () => mint.now }
  app.register(
    async (scope) => {
      await scope.register(fastifySignet, options)
      scope.get('/mine', { config: { scope: ['tools'] } }, () => 'mine')
    },
    { prefix },
  )
  return { app, mint, log }
}

t.test('the Fastify plugin serves the metadata, to everybody', async (t) => {
  const { app, mint } = await service(t)
  const { pathname } = new URL(URL_OF_METADATA)
  const reply = await app.inject(pathname)
  t.match(reply.json(), { resource: RESOURCE, authorization_servers: [ISSUER] })
  t.match(reply.headers, { 'access-control-allow-origin': '*', 'cache-control': 'public, max-age=3600' })
  for (const [status, headers] of [
    [401, {}],
    [401, bearer('x')],
    [403, bearer(mint.token())],
  ] as const) {
    const refused = await app.inject({ url: '/mine', headers })
    t.equal(refused.statusCode, status)
    t.match(refused.headers['www-authenticate'], NAMED)
  }
})

t.test('a route of the app at that address stays; below a prefix the plugin leaves it to the app', async (t) => {
  const { pathname } = new URL(URL_OF_METADATA)
  const own = await service(t, (app) => void app.get(pathname, { config: { auth: 'public' } }, () => ({ own: true })))
  t.same((await own.app.inject(pathname)).json(), { own: true })
  const below = await service(t, undefined, '/api')
  t.equal((await below.app.inject(pathname)).statusCode, 404)
  t.equal((await below.app.inject(`/api${pathname}`)).statusCode, 404, 'where no client looks')
  t.match(below.log.join(), /below a prefix: serve/)
  const later = await service(t)
  later.app.register(async (app) => void app.get(pathname, () => 'later'))
  await t.rejects(async () => later.app.ready(), {
    code: 'FST_ERR_DUPLICATED_ROUTE',
    message: /oauth-protected-resource/,
  })
})

/** As the errors of the SDK. */
class InvalidTokenError extends Error {}
const invalidToken = (text: string) => new InvalidTokenError(text)

t.test('mcpTokenVerifier gives the SDK what it knows of a caller', async (t) => {
  const { verifier, mint } = await verifying(t, { resource: RESOURCE, audience: [ISSUER, RESOURCE] })
  const mcp = mcpTokenVerifier(verifier, { invalidToken })
  const claims = { aud: ['https://other.example', RESOURCE], scope: 'tools read', client_id: 'client_a' }
  const token = mint.token({ claims })
  const { extra, ...info } = await mcp.verifyAccessToken(token)
  t.same(info, {
    token,
    clientId: 'client_a',
    scopes: ['tools', 'read'],
    expiresAt: extra.claims.exp,
    resource: new URL(RESOURCE),
  })
  t.match(extra.claims, claims)
  const forAnother = await mcp.verifyAccessToken(mint.token({ claims: { scope: '' } }))
  t.same([forAnother.resource, forAnother.scopes], [undefined, []], 'expectedResource refuses it')
  const told = mcpTokenVerifier(verifier, { invalidToken, resource: ISSUER })
  t.same((await told.verifyAccessToken(mint.token())).resource, new URL(ISSUER))
  t.throws(() => mcpTokenVerifier(verifier, {} as never), { name: 'TypeError', message: /invalidToken/ })
})

t.test('a refused token is the error of the SDK, whose text is the public one; what is not known stays', async (t) => {
  const { verifier, mint } = await verifying(t)
  const mcp = mcpTokenVerifier(verifier, { invalidToken })
  const { issuer, create } = await unreachable(t)
  for (const [token, text] of [
    ['x', /^The access token is not valid\.$/],
    [mint.token({ claims: { aud: 'other' } }), /^The access token is not valid\.$/],
    [mint.token({ claims: { iat: mint.now - 900, exp: mint.now - 300 } }), /^The access token has expired\.$/],
    [undefined as never, /needs an access token/],
  ] as const) {
    const error = await mcp.verifyAccessToken(token).then(
      () => undefined,
      (error) => error,
    )
    t.ok(error instanceof InvalidTokenError)
    t.match(error.message, text)
    t.equal(error.cause, undefined)
  }
  issuer.down = true
  const away = mcpTokenVerifier(create(), { invalidToken })
  const error = await away.verifyAccessToken(mint.token()).then(
    () => undefined,
    (error) => error,
  )
  t.ok(error instanceof AppError && error.code === 'keys_unavailable', 'the SDK answers 500, and no client signs out')
})

/** A verifier whose issuer can be taken away. */
async function unreachable(t: Test) {
  const { issuer, another } = await verifying(t)
  return { issuer, create: () => another({}, async () => undefined) }
}
