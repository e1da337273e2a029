import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import t, { type Test } from 'tap'
import { UNDATED } from '../../../src/keys/keyring.ts'
import { readManifest } from '../../../src/keys/manifest.ts'
import { RELOAD_INTERVAL_SECONDS } from '../../../src/keys/rotation.ts'
import { runScript } from '../../support/scripts.ts'
import {
  getMe,
  partOf,
  postLogin,
  postRefresh,
  register,
  type ServerProcess,
  sharedSettings,
  tokensOf,
  twoNodes,
} from '../../support/service.ts'

// Two real servers on one keys folder and one database, under constant load, while the real script rotates with the
// shortest times the settings allow. An integrator stands beside them and caches the JWKS for exactly as long as it
// may.

const ROTATIONS = 3
const MAX_AGE = 1
const LEAD_SECONDS = MAX_AGE + RELOAD_INTERVAL_SECONDS
const EMAIL = 'ada@example.com'

interface Seen {
  readonly tokens: { text: string; kid: string; iat: number }[]
  readonly failures: string[]
  verified: number
  running: boolean
}

t.test(
  'rotations under load: no verification fails, and no key signs before it was published for the lead',
  async (t) => {
    const { servers, env } = await twoServers(t)
    const seen: Seen = { tokens: [], failures: [], verified: 0, running: true }
    await register(servers[0], EMAIL)
    const load = [
      ...servers.flatMap((server) => [getTokens(server, seen), callMe(server, seen)]),
      integrate(servers, seen, String(env.ISSUER)),
    ]

    let rotations = 0
    while (rotations < ROTATIONS) {
      const { code, stdout, stderr } = await runScript('scripts/keys.ts', ['rotate', '--lead', `${LEAD_SECONDS}s`], env)
      if (code !== 0) throw new Error(stderr)
      if (stdout.startsWith('key')) rotations += 1
      // The plan runs by the clock: there is nothing to wait for but the instant in which the new key signs.
      await pause((await lastSignFrom(env)) * 1000 - Date.now() + 100)
    }
    await pause(1000) // the last key signs
    seen.running = false
    await Promise.all(load)

    const manifest = await readManifest({ dir: String(env.KEYS_DIR), passphrase: undefined })
    const early = seen.tokens.filter(({ kid, iat }) => {
      const entry = manifest.find((entry) => entry.kid === kid)
      const first = entry === manifest[0]
      return (
        entry === undefined || iat < entry.sign_from || (!first && entry.sign_from - entry.publish_at < LEAD_SECONDS)
      )
    })
    t.same(seen.failures, [])
    t.same(early, [])
    t.equal(new Set(seen.tokens.map(({ kid }) => kid)).size, ROTATIONS + 1, 'every key signed')
    t.comment(`${seen.tokens.length} tokens issued, ${seen.verified} verifications, ${rotations} rotations`)
    t.ok(seen.verified > 200)
  },
)

async function lastSignFrom(env: Record<string, string>): Promise<number> {
  const manifest = await readManifest({ dir: String(env.KEYS_DIR), passphrase: undefined })
  return Math.max(...manifest.map(({ sign_from }) => sign_from).filter((instant) => instant < UNDATED))
}

async function twoServers(t: Test): Promise<{ servers: [ServerProcess, ServerProcess]; env: Record<string, string> }> {
  const env = await sharedSettings(t, {
    JWKS_MAX_AGE: String(MAX_AGE),
    CLOCK_SKEW: '0',
    MAX_SESSIONS_PER_ACCOUNT: '1000', // every login of this test is a session of one account
  })
  return { servers: await twoNodes(t, env), env }
}

/** Logs in now and then, and refreshes in between: that signs as well, and hashes no password. */
async function getTokens(server: ServerProcess, seen: Seen): Promise<void> {
  let refresh: string | undefined
  for (let turn = 0; seen.running; turn += 1) {
    const again = refresh === undefined || turn % 10 === 0
    const reply = await (again ? postLogin(server, EMAIL) : postRefresh(server, { refresh: String(refresh) }))
    if (reply.status === 200) {
      const tokens = await tokensOf(reply)
      refresh = tokens.refresh
      const { kid } = partOf(tokens.access, 0)
      seen.tokens.push({ text: tokens.access, kid, iat: partOf(tokens.access, 1).iat })
    } else seen.failures.push(`tokens ${reply.status}`)
    await pause(100)
  }
}

/** Every token of either server, young and old, must pass: tokens of this test never reach their end. */
async function callMe(server: ServerProcess, seen: Seen): Promise<void> {
  while (seen.running) {
    for (const token of [seen.tokens.at(-1), seen.tokens[Math.floor(Math.random() * seen.tokens.length)]]) {
      if (token === undefined) continue
      const { status } = await getMe(server, { access: token.text })
      if (status === 200) seen.verified += 1
      else if (Date.now() / 1000 < token.iat + 599) seen.failures.push(`me ${status} for ${token.kid}`)
    }
    await pause(80)
  }
}

async function integrate(servers: readonly ServerProcess[], seen: Seen, issuer: string): Promise<void> {
  for (let turn = 0; seen.running; turn += 1) {
    const reply = await fetch(`${servers[turn % 2]?.url}/.well-known/jwks.json`)
    const keys = createLocalJWKSet((await reply.json()) as JSONWebKeySet)
    const maxAge = Number(/max-age=(\d+)/.exec(reply.headers.get('cache-control') ?? '')?.[1])
    const until = performance.now() + maxAge * 1000
    while (seen.running && performance.now() < until) {
      const token = seen.tokens.at(-1)
      if (token) {
        await jwtVerify(token.text, keys, { issuer, audience: issuer, typ: 'at+jwt', algorithms: ['RS256'] }).then(
          () => {
            seen.verified += 1
          },
          (error) => seen.failures.push(`integrator: ${error.code} for ${token.kid}`),
        )
      }
      await pause(80)
    }
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
