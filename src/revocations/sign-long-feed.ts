import { createHash, webcrypto } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import type { SigningKey } from '../keys/live-keyring.ts'
import { FEED_TYPE, type FeedClaims } from './feed-format.ts'
import type { RevocationKind } from './revocation.ts'
import type { SetEntry } from './revocation-set.ts'

/** How many entries are written in one turn of the event loop. */
const ENTRIES_PER_TURN = 5000
/** How many parts of that size are copied and digested in one turn. */
const PARTS_PER_TURN = 8

/** The members that list entries, in the order of the document and of the set. */
const MEMBERS = [
  { kind: 'session', open: '"sessions":[', close: ']' },
  { kind: 'account', open: '"accounts":{', close: '}' },
  { kind: 'client', open: '"clients":{', close: '}' },
  { kind: 'token', open: '"tokens":[', close: ']' },
] as const satisfies readonly { kind: RevocationKind; open: string; close: string }[]

/**
 * The feed with many entries: the same text as jose makes, in slices. With a million entries jose's CompactSign holds
 * the event loop for some hundred milliseconds (JSON of 25 MB, its base64url, and copies of both), and takes no parts.
 * So the text is written here, into memory of its final size, and signed by WebCrypto, on another thread.
 *
 * @param head the members before the entries
 * @returns the compact JWS, and the SHA-256 digest of it in base64url
 */
export async function signLongFeed(
  head: Pick<FeedClaims, 'iss' | 'seq' | 'iat' | 'exp'>,
  entries: Iterable<SetEntry>,
  keys: readonly string[],
  { kid, key }: SigningKey,
): Promise<{ body: Buffer; digest: string }> {
  const parts = [Buffer.from(`${base64url(Buffer.from(JSON.stringify({ alg: 'RS256', typ: FEED_TYPE, kid })))}.`)]
  let rest: Buffer = Buffer.alloc(0)
  for (const json of jsonOf(head, entries, keys)) {
    const bytes = Buffer.concat([rest, Buffer.from(json)])
    const whole = bytes.length - (bytes.length % 3) // base64url of parts is that of all only at multiples of 3 bytes
    parts.push(Buffer.from(base64url(bytes.subarray(0, whole)), 'latin1'))
    rest = bytes.subarray(whole)
    await turn()
  }
  parts.push(Buffer.from(base64url(rest)))
  return finished(parts, key)
}

/** Signs the parts, and joins all of it: a slice of the work in each turn of the event loop. */
async function finished(parts: readonly Buffer[], key: SigningKey['key']): Promise<{ body: Buffer; digest: string }> {
  const { modulusLength } = key.algorithm as webcrypto.RsaKeyAlgorithm
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  // Of the final size from the start, and its memory is touched only as it is written: no copy of all at once.
  const body = Buffer.allocUnsafeSlow(length + 1 + Math.ceil(((modulusLength / 8) * 4) / 3))
  const digest = createHash('sha256')
  let at = 0
  for (const [i, part] of parts.entries()) {
    at += part.copy(body, at)
    digest.update(part)
    if (i % PARTS_PER_TURN === PARTS_PER_TURN - 1) await turn()
  }
  const signature = await webcrypto.subtle.sign('RSASSA-PKCS1-v1_5', key, body.subarray(0, length))
  const end = Buffer.from(`.${base64url(Buffer.from(signature))}`)
  end.copy(body, length)
  return { body, digest: digest.update(end).digest('base64url') }
}

const base64url = (bytes: Buffer) => bytes.toString('base64url')

/** The JSON text of the claims, in slices. */
function* jsonOf(head: object, entries: Iterable<SetEntry>, keys: readonly string[]): Generator<string> {
  const written = new Set<string>() // a member of an object has its name once, also when the entry moved meanwhile
  let member = 0
  let isFirst = true
  let text = `${JSON.stringify(head).slice(0, -1)},${MEMBERS[0].open}`
  let count = 0
  const closeUpTo = (index: number) => {
    for (; member < index; member += 1) {
      text += `${MEMBERS[member]?.close},${MEMBERS[member + 1]?.open ?? ''}`
      isFirst = true
      written.clear()
    }
  }
  for (const { kind, subject, minVersion } of entries) {
    closeUpTo(MEMBERS.findIndex((one) => one.kind === kind))
    const isVersion = kind === 'account' || kind === 'client'
    if (isVersion && written.has(subject)) continue
    if (isVersion) written.add(subject)
    text += `${isFirst ? '' : ','}${JSON.stringify(subject)}${isVersion ? `:${minVersion}` : ''}`
    isFirst = false
    count += 1
    if (count % ENTRIES_PER_TURN > 0) continue
    yield text
    text = ''
  }
  closeUpTo(MEMBERS.length)
  yield `${text}"keys":${JSON.stringify(keys)}}`
}
