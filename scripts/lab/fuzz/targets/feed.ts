import { generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import { createVerifier, type Verifier } from '../../../../src/verifier/index.ts'
import { newUser, startApp } from '../../../../test/support/app.ts'
import { createMint, serverMint } from '../../../../test/support/mint.ts'
import { call } from '../../../../test/support/people.ts'
import { type Edit, edited, editsOnceIn } from '../edits.ts'
import { demand, type Target } from '../target.ts'

const NOW = 1_800_000_000
const ISSUER = 'https://signet.example'
const REFUSALS = ['invalid_token', 'token_expired', 'token_stale', 'keys_unavailable', 'revocations_stale']

/** What the issuer, or an attacker on the network, answers instead. */
interface Answers {
  readonly keys: readonly Edit[] | null
  readonly feed: readonly Edit[] | null
  /** The part of the feed whose decoded bytes are edited; null edits the text. */
  readonly part: number | null
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
}

const answers: fc.Arbitrary<Answers> = fc.record({
  keys: editsOnceIn(3),
  feed: editsOnceIn(2),
  part: fc.option(fc.nat(2)),
  status: fc.oneof({ weight: 8, arbitrary: fc.constant(200) }, fc.constantFrom(304, 404, 500, 201, 206)),
  headers: fc.dictionary(
    fc.constantFrom('etag', 'cache-control', 'content-type', 'age'),
    fc.constantFrom(
      '"x"',
      'max-age=-1',
      'max-age=1e99',
      'max-age=99999999999999999999',
      'no-store',
      'text/html',
      '',
      'W/"',
      '0',
    ),
    { maxKeys: 2 },
  ),
})

/**
 * The verifier package with an issuer whose JWKS and feed are damaged: it may refuse any token, and must never accept a
 * revoked or forged one.
 */
export const feed: Target = {
  name: 'feed',
  async prepare(stage) {
    const { app, ...server } = await startApp(stage as never, { now: () => NOW, env: { ISSUER } })
    const [stays, goes] = [(await newUser(app)).token, (await newUser(app)).token]
    await call(app, goes, 'POST', '/v1/logout', {})
    const mint = await serverMint({ app, ...server }, NOW)
    const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
    const forged = createMint({ ...mint, privateKey: stranger }).token()
    const documents = {
      jwks: (await app.inject({ url: '/.well-known/jwks.json' })).body,
      revocations: (await app.inject({ url: '/.well-known/revocations' })).body,
    }
    const tokens: Tokens = { stays, goes, forged }
    const property = fc.asyncProperty(answers, async (answers) => {
      await tried(documents, answers, tokens)
    })
    return {
      property: property as fc.IAsyncProperty<unknown>,
      async wellbeing() {
        const untouched: Answers = { keys: null, feed: null, part: null, status: 200, headers: {} }
        demand((await tried(documents, untouched, tokens)) === 'good', 'a good token is refused')
      },
    }
  },
}

interface Tokens {
  readonly stays: string
  readonly goes: string
  readonly forged: string
}

/** @returns the verdict on the good token */
async function tried(documents: Documents, answers: Answers, { stays, goes, forged }: Tokens): Promise<string> {
  const verifier = createVerifier({
    issuer: ISSUER,
    audience: ISSUER,
    revocations: true,
    onStale: 'reject',
    fetch: issuerThatSays(documents, answers),
    now: () => NOW,
  })
  try {
    await verifier.hydrate().catch((error) => demand(error.code === 'keys_unavailable', `hydrate: ${error.stack}`))
    for (const token of [goes, forged]) {
      const said = await verdict(verifier, token)
      demand(REFUSALS.includes(said), `a bad token is ${said}`)
    }
    const said = await verdict(verifier, stays)
    demand(said === 'good' || REFUSALS.includes(said), `a good token is ${said}`)
    return said
  } finally {
    verifier.close()
  }
}

const verdict = (verifier: Verifier, token: string): Promise<string> =>
  verifier.verify(token).then(
    () => 'good',
    (error) => error.code ?? String(error.stack),
  )

interface Documents {
  readonly jwks: string
  readonly revocations: string
}

function issuerThatSays(
  { jwks, revocations }: Documents,
  { keys, feed, part, status, headers }: Answers,
): typeof fetch {
  return async (input) => {
    const isFeed = String(input).includes('revocations')
    const edits = isFeed ? feed : keys
    const original = Buffer.from(isFeed ? revocations : jwks)
    const body =
      edits === null ? original : isFeed && part !== null ? inside(revocations, part, edits) : edited(original, edits)
    return new Response(status === 304 ? null : body.toString('latin1'), { status, headers })
  }
}

function inside(jws: string, part: number, edits: readonly Edit[]): Buffer {
  const parts = jws.split('.')
  parts[part] = edited(Buffer.from(parts[part] ?? '', 'base64url'), edits).toString('base64url')
  return Buffer.from(parts.join('.'))
}
