import { mock } from 'node:test'
import type { Test } from 'tap'
import { generatePrivateKey } from '../../src/keys/private-keys.ts'
import { createFeed } from '../../src/revocations/feed.ts'
import { RecentRevocations } from '../../src/revocations/recent-revocations.ts'
import { RevocationSet } from '../../src/revocations/revocation-set.ts'

/** Epoch seconds. */
export const NOW = 1_800_000_000
export const NET = '192.0.2.1'
const key = await generatePrivateKey(2048)

/** The feed alone, with a set, a keyring and clocks that the test controls. */
export function bareFeed(
  t: Test,
  { maxWaiters = 10, ttl = 60, lookFirst = (): Promise<void> | undefined => undefined } = {},
) {
  const set = { seq: 0, age: 0, list: new RevocationSet(), look: async () => {}, followed: true, work: 0 }
  const ring = { kid: 'one', revoked: [] as string[], signs: true }
  const clock = { seconds: NOW, milliseconds: 0 }
  let signatures = 0
  const feed = createFeed({
    issuer: 'https://signet.example',
    ttl,
    maxWaiters,
    keyring: {
      signingKey() {
        if (!ring.signs) throw new Error('no key signs')
        return { kid: ring.kid, key } as never
      },
      revokedKids: () => ring.revoked,
      verificationPem: () => 'a key',
    },
    revocations: {
      get seq() {
        return set.seq
      },
      history: 'one',
      get size() {
        return set.list.size
      },
      recent: new RecentRevocations(),
      entries: (now) => set.list.entries(now),
      age: () => set.age,
      snapshot(now) {
        signatures += 1
        clock.milliseconds += set.work
        return set.list.snapshot(now)
      },
      onLook(listener) {
        set.look = async () => void (await listener())
        return () => {
          set.followed = false
        }
      },
    },
    lookFirst,
    now: () => clock.seconds,
    monotonic: () => clock.milliseconds,
  })
  t.teardown(() => feed.close())
  /** Waits while timers go off. */
  const ticked = async <T>(promise: Promise<T>): Promise<T> => {
    let over = false
    promise
      .finally(() => {
        over = true
      })
      .catch(() => undefined)
    while (!over) {
      await settled()
      mock.timers.tick(100)
    }
    return promise
  }
  /** The document, after every pause before it has passed. */
  const made = () => ticked(feed.current())
  return { feed, set, ring, clock, made, ticked, signatures: () => signatures }
}

export async function settled(): Promise<void> {
  for (let i = 0; i < 5; i += 1) await new Promise((resolve) => setImmediate(resolve))
}
