import { CompactSign } from 'jose'
import t from 'tap'
import { generatePrivateKey } from '../../src/keys/private-keys.ts'
import { FEED_TYPE } from '../../src/revocations/feed-format.ts'
import { RevocationSet } from '../../src/revocations/revocation-set.ts'
import { signLongFeed } from '../../src/revocations/sign-long-feed.ts'

const NOW = 1_800_000_000
const HEAD = { iss: 'https://signet.example', seq: 9, iat: NOW, exp: NOW + 60 }
const KEY = (await generatePrivateKey(2048)).toCryptoKey({ name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }, false, [
  'sign',
])
const LISTS = ['session', 'account', 'client', 'token'] as const

/** A set with so many entries of each kind. */
function filled(counts: readonly number[]): RevocationSet {
  const set = new RevocationSet()
  for (const [i, kind] of LISTS.entries())
    for (let n = 0; n < (counts[i] ?? 0); n += 1) {
      const minVersion = n % 2 === 0 && (kind === 'account' || kind === 'client') ? n : null
      set.add({ kind, subject: `${kind}-"é"-${n}`, minVersion, seq: n, expiresAt: NOW + 100 })
    }
  return set
}

t.test('the feed made in slices is the text that jose makes', async (t) => {
  for (const counts of [[], [1], [0, 1], [0, 0, 1], [0, 0, 0, 1], [3, 2, 1, 2], [5000], [12_001, 4999, 3, 7]]) {
    const set = filled(counts)
    for (const keys of [[], ['kid-1', 'kid-2']]) {
      const { body } = await signLongFeed(HEAD, set.entries(NOW), keys, { kid: 'kid', key: KEY })
      const jws = await new CompactSign(Buffer.from(JSON.stringify({ ...HEAD, ...set.snapshot(NOW), keys })))
        .setProtectedHeader({ alg: 'RS256', typ: FEED_TYPE, kid: 'kid' })
        .sign(KEY)
      t.ok(body.toString() === jws, `${counts.join()} ${keys.length}`)
    }
  }
})

t.test('an account that changes while the feed is made is in it once', async (t) => {
  const set = filled([5000, 5001])
  function* whileItChanges() {
    let read = 0
    for (const entry of set.entries(NOW)) {
      read += 1
      if (read === 9000)
        for (const n of [0, 5000])
          set.add({ kind: 'account', subject: `account-"é"-${n}`, minVersion: 77, seq: 9000 + n, expiresAt: NOW + 100 })
      yield entry
    }
  }
  const { body } = await signLongFeed(HEAD, whileItChanges(), [], { kid: 'kid', key: KEY })
  const payload = Buffer.from(body.toString().split('.')[1] ?? '', 'base64url').toString()
  for (const n of [0, 5000]) t.equal(payload.split(`"account-\\"é\\"-${n}":`).length, 2, String(n))
})
