import { createPublicKey } from 'node:crypto'
import { join } from 'node:path'
import { type Static, Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { toTimestamp } from '../clock.ts'
import { OperatorError } from '../errors/app-error.ts'
import { publicJwk, thumbprint } from './jwk.ts'
import { KeyEntry, type Keyring } from './keyring.ts'
import { KeyFileError, type KeysFolder, readKeyFile, replaceDurably } from './keys-folder.ts'
import { brokenInvariants } from './rotation.ts'

// The manifest as a file: the entries, with instants that a person can read.
const Instant = Type.String({ pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ$' })
const InstantOrNull = Type.Union([Instant, Type.Null()])
const Manifest = Type.Object(
  {
    version: Type.Literal(1),
    keys: Type.Array(
      Type.Composite(
        [
          Type.Pick(KeyEntry, ['kid', 'jwk']),
          Type.Object({
            created_at: Instant,
            publish_at: Instant,
            sign_from: Instant,
            sign_until: InstantOrNull,
            verify_until: InstantOrNull,
            revoked_at: InstantOrNull,
          }),
        ],
        { additionalProperties: false },
      ),
    ),
  },
  { additionalProperties: false },
)

export const manifestPath = (folder: KeysFolder) => join(folder.dir, 'keyring.json')

/**
 * Reads the manifest.
 *
 * @returns the keyring; an empty one when there is no manifest yet
 * @throws OperatorError when the file can't be read, does not parse or breaks an invariant
 */
export async function readKeyring(folder: KeysFolder): Promise<Keyring> {
  return sound(await readManifest(folder), manifestPath(folder))
}

function sound(keyring: Keyring, path: string): Keyring {
  const [problem] = brokenInvariants(keyring)
  if (problem !== undefined) throw broken(path, `is not sound: ${problem}`)
  return keyring
}

/**
 * Reads the manifest without checking its invariants: for display and repair, not for signing.
 *
 * @throws OperatorError when the file can't be read or does not parse
 */
export async function readManifest(folder: KeysFolder): Promise<Keyring> {
  const path = manifestPath(folder)
  let text: Buffer
  try {
    text = await readKeyFile(path, 'the manifest')
  } catch (error) {
    if (error instanceof KeyFileError && error.fault === 'missing') return []
    throw error
  }
  return parseManifest(text.toString('utf8'), path)
}

/**
 * Parses the text of a manifest.
 *
 * @param path for the error message only
 * @throws OperatorError when it is not a keyring, a kid is not the thumbprint of its key, or a kid occurs twice
 */
export function parseManifest(text: string, path: string): Keyring {
  let manifest: unknown
  try {
    manifest = JSON.parse(text)
  } catch {
    throw broken(path, 'is not valid JSON')
  }
  const first = Value.Errors(Manifest, manifest).First()
  if (first !== undefined) throw broken(path, `is not a keyring: ${first.path || '/'} ${first.message}`)

  const keyring = (manifest as Static<typeof Manifest>).keys.map((entry) => ({
    ...entry,
    created_at: toSeconds(entry.created_at),
    publish_at: toSeconds(entry.publish_at),
    sign_from: toSeconds(entry.sign_from),
    sign_until: entry.sign_until && toSeconds(entry.sign_until),
    verify_until: entry.verify_until && toSeconds(entry.verify_until),
    revoked_at: entry.revoked_at && toSeconds(entry.revoked_at),
  })) as KeyEntry[]

  for (const { kid, jwk, ...instants } of keyring) {
    if (Object.values(instants).some(Number.isNaN)) throw broken(path, `has an instant that is no date, at key ${kid}`)
    if (kid !== jwk.kid || kid !== thumbprint(jwk))
      throw broken(path, `names a key ${kid} whose kid is not the thumbprint of its JWK`)
    publicJwk(createPublicKey({ key: { kty: jwk.kty, n: jwk.n, e: jwk.e }, format: 'jwk' }))
  }
  if (new Set(keyring.map(({ kid }) => kid)).size !== keyring.length) throw broken(path, 'holds the same kid twice')
  return keyring
}

/**
 * Writes the manifest. The caller holds the lock of the folder.
 *
 * @throws OperatorError when it can't be written, or could not be read again: the one from before stays then
 */
export async function writeKeyring(folder: KeysFolder, keyring: Keyring): Promise<void> {
  const keys = keyring.map((entry) => ({
    ...entry,
    created_at: toTimestamp(entry.created_at),
    publish_at: toTimestamp(entry.publish_at),
    sign_from: toTimestamp(entry.sign_from),
    sign_until: entry.sign_until === null ? null : toTimestamp(entry.sign_until),
    verify_until: entry.verify_until === null ? null : toTimestamp(entry.verify_until),
    revoked_at: entry.revoked_at === null ? null : toTimestamp(entry.revoked_at),
  }))
  const path = manifestPath(folder)
  const text = `${JSON.stringify({ version: 1, keys }, null, 2)}\n`
  sound(parseManifest(text, path), path)
  await replaceDurably(path, text, 0o644)
}

function broken(path: string, what: string): OperatorError {
  return new OperatorError(`keys: ${path} ${what}`, {
    hint: 'see what is wrong with `npm run keys -- check`, or restore the file from a backup',
  })
}

function toSeconds(timestamp: string): number {
  const seconds = Date.parse(timestamp) / 1000
  return Number.isFinite(seconds) && toTimestamp(seconds) === timestamp ? seconds : Number.NaN // 30 February is no date
}
