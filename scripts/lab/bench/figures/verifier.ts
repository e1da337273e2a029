import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { createLocalJWKSet, jwtVerify } from 'jose'
import { createVerifier } from '../../../../src/verifier/index.ts'
import { call } from '../client.ts'
import type { Comparison, Round } from '../comparison.ts'
import type { Bench } from '../figure.ts'
import { getAgain, type HttpSide, httpSide } from '../http-side.ts'
import { LightLoad } from '../light-load.ts'
import { type Minted, mintTokens, NEW_TOKENS } from '../mint.ts'
import { installPeers, writeRecipe } from '../peers.ts'
import { makeHome, type Server, startScript, startSignet } from '../server-process.ts'

const CONNECTIONS = 32

/** How many calls are made before the time is read again. */
const BATCH = 50

/** The verifier package compared with what services use instead: one request after the other in this process. */
export const verifier: Comparison = {
  name: 'verifier',
  title: 'a token verified in process by',
  unit: 'µs',
  better: 'less',
  onDemand: true,
  async prepare(bench, cleanup) {
    const peers = await installPeers(bench)
    const { server, minted } = await issuer(bench, cleanup)
    const policy = { issuer: server.origin, audience: server.origin }

    const signet = createVerifier(policy)
    cleanup.defer(async () => signet.close())
    await signet.hydrate()
    const jwks = createLocalJWKSet(JSON.parse(await call(`${server.origin}/.well-known/jwks.json`)))
    const bearer = pathToFileURL(join(peers.dir, 'node_modules/express-oauth2-jwt-bearer/dist/index.js'))
    const middleware = (await import(bearer.href)).default.auth({
      issuerBaseURL: server.origin,
      audience: server.origin,
    })

    const ways: [string, (token: string) => Promise<unknown>][] = [
      ['jose jwtVerify', (token) => jwtVerify(token, jwks, { ...policy, algorithms: ['RS256'], typ: 'at+jwt' })],
      ['signet-verifier', (token) => signet.authenticate({ rawHeaders: ['authorization', `Bearer ${token}`] })],
      ['express-oauth2-jwt-bearer', (token) => passed(middleware, token)],
    ]
    return {
      sides: ways.flatMap(([name, verify]) => [
        { name: `${name}, token seen before`, round: loop(bench, verify, minted.tokens.slice(0, 1)) },
        { name: `${name}, every token new`, round: loop(bench, verify, minted.tokens) },
      ]),
      notes: [await peers.versions('express-oauth2-jwt-bearer')],
    }
  },
}

/**
 * The same over HTTP: the Express recipe of the package's README, which also follows the revocations, compared with
 * express-oauth2-jwt-bearer.
 */
export const verifierOverHttp: Comparison = {
  name: 'verifier-http',
  title: 'GET /me of Express behind',
  unit: 'requests/s',
  better: 'more',
  onDemand: true,
  async prepare(bench, cleanup) {
    const peers = await installPeers(bench)
    const core = bench.cores?.server
    const { server, minted } = await issuer(bench, cleanup)
    const recipe = await writeRecipe(peers, 'express')
    const env = { ISSUER: server.origin, AUDIENCE: server.origin }
    const startRecipe = () =>
      startScript(bench, { core }, (port) => ({ args: [recipe], env: { ...env, PORT: String(port) } }))
    const started = {
      bare: await peers.start('express-bare.js', {}, core),
      signet: await startRecipe(),
      signetNew: await startRecipe(), // its own process: memory used for thousands of tokens must not slow the other
      bearer: await peers.start('express-oauth2-jwt-bearer.js', { issuer: server.origin }, core),
    }
    for (const { child } of Object.values(started)) cleanup.use(child)

    const load = cleanup.use(new LightLoad({ core: bench.cores?.load }))
    const seen = getAgain('/me', { authorization: `Bearer ${minted.tokens[0]}` })
    const fresh = { kind: 'ring', path: '/me', file: minted.file, position: 0 } as const
    const sides: HttpSide[] = [
      { name: 'nothing (bare Express)', server: started.bare, source: seen },
      { name: 'signet-verifier, token seen before', server: started.signet, source: seen },
      { name: 'signet-verifier, every token new', server: started.signetNew, source: fresh },
      { name: 'express-oauth2-jwt-bearer, token seen before', server: started.bearer, source: seen },
      { name: 'express-oauth2-jwt-bearer, every token new', server: started.bearer, source: fresh },
    ]
    return {
      sides: sides.map((side) => httpSide(bench, load, CONNECTIONS, side)),
      notes: [await peers.versions('express', 'express-oauth2-jwt-bearer')],
    }
  },
}

/** A running Signet, and tokens of it. */
async function issuer(bench: Bench, cleanup: AsyncDisposableStack): Promise<{ server: Server; minted: Minted }> {
  const home = await makeHome(bench)
  const server = await startSignet(bench, home)
  cleanup.use(server.child)
  return { server, minted: await mintTokens(bench, server, home, NEW_TOKENS) }
}

/** @returns a function that verifies these tokens in a ring for one round, and continues there in the next round */
function loop({ seconds }: Bench, verify: (token: string) => Promise<unknown>, tokens: readonly string[]) {
  let position = 0
  return async (): Promise<Round> => {
    const before = process.cpuUsage()
    const began = performance.now()
    let count = 0
    while (performance.now() - began < seconds * 1000) {
      for (let i = 0; i < BATCH; i += 1) {
        await verify(tokens[position] ?? '')
        position = (position + 1) % tokens.length
      }
      count += BATCH
    }
    const { user, system } = process.cpuUsage(before)
    return { value: ((performance.now() - began) * 1000) / count, cpu: (user + system) / count }
  }
}

type Middleware = (req: object, res: object, next: (error?: unknown) => void) => void

/** Calls the middleware with the members of a request that it reads. */
function passed(middleware: Middleware, token: string): Promise<void> {
  const headers: Record<string, string> = { host: '127.0.0.1', authorization: `Bearer ${token}` }
  const get = (name: string) => headers[name.toLowerCase()]
  const req = { headers, get, method: 'GET', url: '/me', protocol: 'http', query: {}, is: () => false }
  return new Promise((resolve, reject) => {
    middleware(req, {}, (error) => (error === undefined ? resolve() : reject(error)))
  })
}
