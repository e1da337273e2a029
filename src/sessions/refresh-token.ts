import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto'
import { type RefreshKey, refreshKeyAt } from '../keys/refresh-keys.ts'

//     srt_ + base64url( key id 8 | session id 16 | counter 4 | HMAC-SHA-256 32 )
//
// Nobody can forge one without a key, so garbage is refused before the store is asked. The same session, counter and
// key always give the same text, so two tabs that refresh at the same time get the same successor.

const PREFIX = 'srt_'
const KEY_ID_BYTES = 8
const SESSION_ID_BYTES = 16
const COUNTER_BYTES = 4
const BODY_BYTES = KEY_ID_BYTES + SESSION_ID_BYTES + COUNTER_BYTES
const MAC_BYTES = 32
const TEXT = /^srt_[A-Za-z0-9_-]{80}$/

export interface RefreshClaim {
  readonly sessionId: string
  readonly counter: number
}

/**
 * @param keys the refresh keys of this instant; more than one during a rotation of the key
 * @param madeAt epoch seconds of the rotation that made the token. It decides which key is used, so that a repeat gives
 *   the same text
 */
export function encodeRefreshToken(
  { sessionId, counter }: RefreshClaim,
  keys: readonly RefreshKey[],
  madeAt: number,
): string {
  const key = refreshKeyAt(keys, madeAt)
  if (key === undefined) throw new TypeError('there is no refresh key')
  const body = Buffer.alloc(BODY_BYTES)
  body.write(key.id, 0, 'base64url')
  body.write(sessionId, KEY_ID_BYTES, 'base64url')
  body.writeUInt32BE(counter, KEY_ID_BYTES + SESSION_ID_BYTES)
  return PREFIX + Buffer.concat([body, mac(key, body)]).toString('base64url')
}

/** @returns undefined for a text that was not made with any of these keys */
export function decodeRefreshToken(token: string, keys: readonly RefreshKey[]): RefreshClaim | undefined {
  if (!TEXT.test(token)) return undefined
  const bytes = Buffer.from(token.slice(PREFIX.length), 'base64url')
  if (bytes.length !== BODY_BYTES + MAC_BYTES || bytes.toString('base64url') !== token.slice(PREFIX.length))
    return undefined
  const body = bytes.subarray(0, BODY_BYTES)
  const id = body.toString('base64url', 0, KEY_ID_BYTES)
  const key = keys.find((key) => key.id === id)
  if (key === undefined || !timingSafeEqual(mac(key, body), bytes.subarray(BODY_BYTES))) return undefined
  return {
    sessionId: body.toString('base64url', KEY_ID_BYTES, KEY_ID_BYTES + SESSION_ID_BYTES),
    counter: body.readUInt32BE(KEY_ID_BYTES + SESSION_ID_BYTES),
  }
}

/**
 * Kept, because Node would make a key object from the raw bytes again for every HMAC, which takes five times as long as
 * the HMAC.
 */
const macKeys = new WeakMap<Buffer, KeyObject>()

function mac({ secret }: RefreshKey, body: Buffer): Buffer {
  let key = macKeys.get(secret)
  if (key === undefined) {
    key = createSecretKey(secret)
    macKeys.set(secret, key)
  }
  return createHmac('sha256', key).update('signet refresh token').update(body).digest()
}
