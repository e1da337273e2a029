import { mock } from 'node:test'
import { CompactSign } from 'jose'
import type { Test } from 'tap'
import { publicJwk } from '../../src/keys/jwk.ts'
import { generatePrivateKey } from '../../src/keys/private-keys.ts'
import {
  createVerifier,
  type VerifierEvent,
  type VerifierOptions,
  type VerifierStore,
} from '../../src/verifier/index.ts'
import '../support/fake-timeouts.ts'

export const ISSUER = 'https://signet.example'
const START_MS = 1_800_000_000_000
const STEP_MS = 10
const privateKey = await generatePrivateKey(2048)
const jwk = publicJwk(privateKey)
export const successor = await generatePrivateKey(2048)

/** Signed once for each text: signing is what takes the time. */
const signatures = new Map<string, Promise<string>>()

/** Signatures that are being made, in threads: no time passes meanwhile, however busy the machine is. */
let unfinished = 0

function signed(typ: string, claims: object, key = privateKey): Promise<string> {
  const { kid } = publicJwk(key)
  const payload = JSON.stringify(claims)
  const name = `${kid} ${typ} ${payload}`
  const known = signatures.get(name)
  if (known !== undefined) return known
  unfinished += 1
  const made = new CompactSign(Buffer.from(payload))
    .setProtectedHeader({ alg: 'RS256', typ, kid })
    .sign(key)
    .finally(() => {
      unfinished -= 1
    })
  signatures.set(name, made)
  return made
}

/** An access token of a session. @param now epoch seconds */
export function token(sid: string, now: number, key = privateKey): Promise<string> {
  const claims = { sub: `acc_${sid}`, client_id: 'signet', jti: `j-${sid}`, sid, iat: now, exp: now + 900 }
  return signed('at+jwt', { iss: ISSUER, aud: 'me', ...claims }, key)
}

/**
 * Verifiers, an issuer and stores in one world whose time the test lets pass: both clocks and every timer. One at a
 * time, because the monotonic clock is that of the process.
 */
export function storeWorld(t: Test) {
  const time = { ms: START_MS, offsetSeconds: 0 }
  const monotonic = mock.method(performance, 'now', () => time.ms - START_MS)
  t.teardown(() => monotonic.mock.restore())
  const now = () => Math.floor(time.ms / 1000) + time.offsetSeconds
  const delay = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds))
  const issuer = {
    isDown: false,
    isMute: false,
    speaksChanges: true,
    latencyMs: 50,
    maxAge: 300,
    keys: [jwk],
    signer: privateKey,
    history: 'h1',
    revoked: [] as string[],
    withdrawn: [] as string[],
    asked: [] as string[],
    /** Requests whose path has this text. */
    count: (text: string) => issuer.asked.filter((path) => path.includes(text)).length,
  }

  const document = (claims: object) => {
    const { history, withdrawn } = issuer
    const common = { iss: ISSUER, history, iat: now(), exp: now() + 60, until: now() + 1020 }
    const keys = withdrawn.length > 0 ? { keys: withdrawn } : {}
    return signed('revocation-changes+jwt', { ...common, ...keys, ...claims }, issuer.signer)
  }
  const changes = async (after: string) => {
    const seq = issuer.revoked.length
    const [history, number] = after.split('.')
    const known = history === issuer.history ? Number(number) : undefined
    const cursor = `${issuer.history}.${seq}`
    const whole = { after: 0, seq, page: 1, pages: 1, whole: `w${issuer.history}${seq}` }
    const line =
      known === undefined
        ? await document({ ...whole, sessions: issuer.revoked, cursor })
        : await document({ after: known, seq, cursor, sessions: issuer.revoked.slice(known) })
    return new Response(`${line}\n`, { headers: { 'content-type': 'application/revocations-seq' } })
  }
  const feed = async () => {
    const lists = { sessions: issuer.revoked, accounts: {}, clients: {}, tokens: [], keys: issuer.withdrawn }
    const claims = { iss: ISSUER, seq: issuer.revoked.length, iat: now(), exp: now() + 60, ...lists }
    return new Response(await signed('revocations+jwt', claims, issuer.signer))
  }
  const fetch: typeof globalThis.fetch = async (input, init) => {
    const url = new URL(String(input))
    issuer.asked.push(url.pathname + url.search)
    await delay(issuer.latencyMs)
    if (issuer.isMute)
      await new Promise((_, reject) => init?.signal?.addEventListener('abort', () => reject(init.signal?.reason)))
    if (issuer.isDown) throw new TypeError('fetch failed', { cause: { code: 'ECONNREFUSED' } })
    if (url.pathname.endsWith('jwks.json'))
      return Response.json({ keys: issuer.keys }, { headers: { 'cache-control': `max-age=${issuer.maxAge}` } })
    const after = url.searchParams.get('after')
    const { length } = issuer.revoked
    const isNew = () => issuer.revoked.length > length || (after ?? '').split('.')[1] !== `${issuer.revoked.length}`
    for (let waited = 0; waited < Number(url.searchParams.get('wait') ?? 0) && !isNew(); waited += 0.25)
      await delay(250)
    if (after === null) return feed()
    return issuer.speaksChanges ? changes(after) : new Response(null, { status: 400 })
  }

  const events: VerifierEvent[] = []
  const create = (options: Partial<VerifierOptions> = {}) => {
    const common = { issuer: ISSUER, audience: 'me', revocations: true, fetch, now }
    const verifier = createVerifier({ ...common, onEvent: (event) => void events.push(event), ...options })
    t.teardown(() => verifier.close())
    return verifier
  }

  const settle = async () => {
    for (let i = 0; i < 5 || unfinished > 0; i += 1) await new Promise((resolve) => setImmediate(resolve))
  }
  const step = async () => {
    time.ms += STEP_MS
    mock.timers.tick(STEP_MS)
    await settle()
  }
  /** Lets time pass in small steps, so that what is due happens in order. */
  const pass = async (seconds: number) => {
    for (let i = 0; i < seconds * (1000 / STEP_MS); i += 1) await step()
  }
  /** Lets time pass until the promise is settled. */
  const until = async <T>(promise: Promise<T>): Promise<T> => {
    let isSettled = false
    const settled = () => {
      isSettled = true
    }
    promise.then(settled, settled)
    await settle()
    for (let i = 0; !isSettled && i < 100_000; i += 1) await step()
    if (!isSettled) throw new Error('it is never settled')
    return promise
  }
  /** Time in which nothing runs: a frozen isolate, of which only the system clock takes notice. */
  const freeze = (seconds: number) => {
    time.offsetSeconds += seconds
  }
  /** Time in which nothing is under way. */
  const jump = async (seconds: number) => {
    time.ms += seconds * 1000
    mock.timers.tick(seconds * 1000)
    await settle()
  }
  /** What becomes of a token of a session: `good`, or the code of the refusal. */
  const verdict = async (
    verifier: ReturnType<typeof create>,
    sid: string,
    call?: Parameters<typeof verifier.verify>[1],
  ) => {
    const text = await token(sid, now())
    return until(
      verifier.verify(text, call).then(
        () => 'good',
        (error) => error.code ?? error.name,
      ),
    )
  }
  return { time, now, delay, issuer, fetch, events, create, pass, jump, until, settle, freeze, verdict }
}

/** A store in memory. @param slow milliseconds of a call */
export function memoryStore(delay: (ms: number) => Promise<void>, slow = () => 1) {
  const texts = new Map<string, string>()
  const store: VerifierStore = {
    async get(name) {
      await delay(slow())
      return texts.get(name)
    },
    async put(name, value) {
      await delay(slow())
      texts.set(name, value)
    },
  }
  return { texts, store }
}
