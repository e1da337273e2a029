import { createPublicKey, generateKeyPairSync, subtle, verify } from 'node:crypto'
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { OperatorError } from '../../../../src/errors/app-error.ts'
import { makeFirstKey, rotateKeys } from '../../../../src/keys/change-keyring.ts'
import { thumbprint } from '../../../../src/keys/jwk.ts'
import { type LiveKeyring, openLiveKeyring } from '../../../../src/keys/live-keyring.ts'
import { temporaryFolder } from '../../../../test/support/app.ts'
import { type Edit, edited, someEdits } from '../edits.ts'
import { demand, type Target } from '../target.ts'

const TEXT = Buffer.from('whatever')
const NOW = 1_800_000_000
const PRIVATE = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k', 'oth']

type Damage =
  | { readonly way: 'bytes' | 'base64'; readonly file: number; readonly edits: readonly Edit[] }
  | {
      readonly way: 'member'
      readonly entry: number
      readonly path: readonly string[]
      readonly value: unknown
      readonly renamed: boolean
    }
  | { readonly way: 'exchange'; readonly file: number; readonly other: number }

const ENTRY = [
  'kid',
  'created_at',
  'publish_at',
  'sign_from',
  'sign_until',
  'verify_until',
  'revoked_at',
  'jwk',
  '__proto__',
]
const JWK = ['n', 'e', 'kty', 'kid', 'use', 'alg', 'd', 'k']
const VALUES = [
  'AQAB',
  'AQ',
  'Aw',
  'AAAA',
  '',
  'RSA',
  'EC',
  'oct',
  'none',
  'HS256',
  '2027-01-15T08:00:00Z',
  '2027-02-30T00:00:00Z',
  '9999-12-31T23:59:59Z',
  null,
  0,
  -1,
]
const damage: fc.Arbitrary<Damage> = fc.oneof(
  fc.record({ way: fc.constantFrom('bytes', 'base64'), file: fc.nat(), edits: someEdits }),
  fc.record({
    way: fc.constant('member' as const),
    entry: fc.nat(),
    path: fc.oneof(
      fc.constantFrom(...ENTRY).map((name) => [name]),
      fc.constantFrom(...JWK).map((name) => ['jwk', name]),
    ),
    value: fc.oneof(
      fc.constantFrom(...VALUES),
      fc.jsonValue(),
      fc.uint8Array({ maxLength: 300 }).map((n) => Buffer.from(n).toString('base64url')),
    ),
    renamed: fc.boolean(),
  }),
  fc.record({ way: fc.constant('exchange' as const), file: fc.nat(), other: fc.nat() }),
)

/**
 * The keys folder, damaged: it opens completely or with an OperatorError, and a running server keeps the keys that it
 * has.
 */
export const keyring: Target = {
  name: 'keyring',
  async prepare(stage) {
    const folder = { dir: join(await temporaryFolder(stage as never), 'keys'), passphrase: undefined }
    await makeFirstKey(folder, () => NOW - 5000)
    await rotateKeys(folder, { now: () => NOW - 100, lead: 900, bits: 2048 })
    const files = (await readdir(folder.dir)).filter((name) => /\.(json|pem)$/.test(name)).sort()
    const texts = new Map(
      await Promise.all(files.map(async (name) => [name, await readFile(join(folder.dir, name))] as const)),
    )
    const kids = JSON.parse(String(texts.get('keyring.json'))).keys.map(({ kid }: { kid: string }) => kid)
    // A foreign key that must never be taken for one of ours.
    texts.set(
      'stranger.pem',
      Buffer.from(
        generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }),
      ),
    )

    const property = fc.asyncProperty(damage, async (damage) => {
      const dir = await mkdtemp(join(tmpdir(), 'signet-fuzz-'))
      try {
        await cp(folder.dir, dir, { recursive: true })
        const running = await open(dir)
        await damageFolder(dir, files, texts, damage)
        const opened = await open(dir).catch((error: unknown) => error as Error)
        if (opened instanceof Error) demand(opened instanceof OperatorError, `not an OperatorError: ${opened.stack}`)
        else await assertSound(opened, kids)
        await running.reload()
        demand(['ok', 'stale', 'failed'].includes(running.state()), running.state())
        await assertSound(running, kids)
      } finally {
        await rm(dir, { recursive: true, force: true })
      }
    })
    return {
      property: property as fc.IAsyncProperty<unknown>,
      wellbeing: async () => assertSound(await open(folder.dir), kids),
    }
  },
}

function open(dir: string): Promise<LiveKeyring> {
  const timing = { jwksMaxAge: 300, skew: 5 }
  return openLiveKeyring({
    folder: { dir, passphrase: undefined },
    timing,
    ttl: 600,
    now: () => NOW,
    report: () => undefined,
  })
}

/**
 * A keyring in use must publish only public members and only our own keys, and its own JWKS must verify its signatures.
 */
async function assertSound(keyring: LiveKeyring, kids: readonly string[]): Promise<void> {
  for (const jwk of JSON.parse(String(keyring.jwks().body)).keys) {
    demand(kids.includes(jwk.kid), 'a key that is not ours')
    demand(jwk.e === 'AQAB' && jwk.alg === 'RS256' && Buffer.from(jwk.n, 'base64url').length >= 256, 'a weak key')
    demand(!PRIVATE.some((name) => name in jwk), 'a private member')
  }
  if (keyring.state() === 'failed') return // every key was revoked, and a revocation is obeyed
  for (const { secret } of keyring.refreshKeys()) demand(secret.length === 32, 'a short refresh key')
  const { kid, key } = keyring.signingKey()
  const pem = keyring.verificationPem(kid)
  demand(pem !== undefined, 'the signing key is not published')
  const signature = Buffer.from(await subtle.sign('RSASSA-PKCS1-v1_5', key, TEXT))
  demand(verify('sha256', TEXT, createPublicKey(pem ?? ''), signature), 'signs what nobody can verify')
}

async function damageFolder(
  dir: string,
  files: readonly string[],
  texts: ReadonlyMap<string, Buffer>,
  damage: Damage,
): Promise<void> {
  if (damage.way === 'member') {
    const manifest = JSON.parse(String(texts.get('keyring.json')))
    setMember(manifest.keys[damage.entry % manifest.keys.length], damage)
    return writeFile(join(dir, 'keyring.json'), JSON.stringify(manifest))
  }
  const name = files[damage.file % files.length] ?? ''
  const original = texts.get(name) ?? Buffer.alloc(0)
  if (damage.way === 'exchange') {
    const all = [...texts.values()]
    return writeFile(join(dir, name), all[damage.other % all.length] ?? '')
  }
  if (damage.way === 'bytes' || !name.endsWith('.pem'))
    return writeFile(join(dir, name), edited(original, damage.edits))
  // Edits the DER below the PEM armour: the numbers of the key itself.
  const [head = '', ...lines] = String(original).trim().split('\n')
  const der = edited(Buffer.from(lines.slice(0, -1).join(''), 'base64'), damage.edits)
  return writeFile(
    join(dir, name),
    [head, ...(der.toString('base64').match(/.{1,64}/g) ?? []), lines.at(-1), ''].join('\n'),
  )
}

function setMember(entry: Record<string, never>, { path, value, renamed }: Damage & { way: 'member' }): void {
  const [first = '', second] = path
  const holder = second === undefined ? entry : entry[first]
  Object.defineProperty(holder, second ?? first, { value, enumerable: true, configurable: true, writable: true })
  const { jwk } = entry as unknown as { jwk?: { n?: string; e?: string; kid?: string } }
  if (!renamed || typeof jwk?.n !== 'string' || typeof jwk.e !== 'string') return
  const kid = thumbprint({ n: jwk.n, e: jwk.e }) // an attacker who knows how a kid is made
  Object.assign(entry, { kid, jwk: { ...jwk, kid } })
}
