import { createHash, createSign, KeyObject } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import type { SigningKey } from '../keys/live-keyring.ts'
import { FEED_TYPE, type FeedClaims } from './feed-format.ts'
import type { RevocationKind } from './revocation.ts'
import type { SetEntry } from './revocation-set.ts'

/** How many entries are written in one turn of the event loop. */
const ENTRIES_PER_TURN = 5000

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
 * So this uses the incremental signature of node:crypto.
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
  const signature = createSign('RSA-SHA256')
  const digest = createHash('sha256')
  const chunks: Buffer[] = []
  const write = (text: string) => {
    const chunk = Buffer.from(text, 'latin1')
    digest.update(chunk)
    chunks.push(chunk)
    return chunk
  }
  const header = Buffer.from(JSON.stringify({ alg: 'RS256', typ: FEED_TYPE, kid }))
  signature.update(write(`${header.toString('base64url')}.`))
  let rest: Buffer = Buffer.alloc(0)
  for (const json of jsonOf(head, entries, keys)) {
    const bytes = Buffer.concat([rest, Buffer.from(json)])
    const whole = bytes.length - (bytes.length % 3) // base64url of parts is that of all only at multiples of 3 bytes
    signature.update(write(bytes.subarray(0, whole).toString('base64url')))
    rest = bytes.subarray(whole)
    await turn()
  }
  signature.update(write(rest.toString('base64url')))
  write(`.${signature.sign(KeyObject.from(key)).toString('base64url')}`)
  return { body: Buffer.concat(chunks), digest: digest.digest('base64url') }
}

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
