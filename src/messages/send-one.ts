import { setTimeout as sleep } from 'node:timers/promises'
import { auditRow } from '../audit/audit-store.ts'
import type { Statement } from '../db/database.ts'
import { DeliveryError } from './delivery-error.ts'
import type { Letter } from './message.ts'
import { type Claimed, stillClaimed } from './outbox-store.ts'
import { seal, unseal } from './seal.ts'
import type { SenderOptions } from './sender.ts'
import { deliverInTime } from './transport.ts'

const FIRST_PAUSE_SECONDS = 30
const LONGEST_PAUSE_SECONDS = 3600
/** After a day the link of nearly every message has expired. */
const GIVE_UP_AFTER_SECONDS = 86_400
/** Pause between two tries to write down what became of a message. */
const STORE_RETRY_MS = 1000
const NO_SOURCE = { ip: null, userAgent: null, requestId: null }

/** `late`: the claim had run out before the delivery began. */
export type Outcome = 'sent' | 'dropped' | 'postponed' | 'dead' | 'late'

/**
 * Seconds until the next attempt: 30 s, doubled each time up to an hour, and up to half as much again by chance, so
 * that what failed together is not tried together.
 *
 * @param failed attempts that failed, 1 or more
 * @param random 0..1
 */
export function pauseAfter(failed: number, random: number): number {
  const pause = FIRST_PAUSE_SECONDS * 2 ** Math.min(failed - 1, 12)
  return Math.min(Math.round(pause * (1 + random / 2)), LONGEST_PAUSE_SECONDS)
}

/**
 * Makes the function that takes one claimed message as far as it goes: composes it, delivers it, and writes down what
 * became of it.
 */
export function createSendOne(options: SenderOptions): (claimed: Claimed) => Promise<Outcome> {
  const { store, transport, log, now } = options
  return async (claimed) => {
    const about = { message: claimed.id, kind: claimed.kind }
    let said: Readonly<Record<string, string>>
    try {
      const letter = claimed.state === 'caused' ? await compose(options, claimed) : await open(options, claimed)
      if ('drop' in letter) {
        await written(options, claimed, () => store.finish(claimed, 'dropped', now(), letter.drop))
        return 'dropped'
      }
      if (now() >= claimed.claimedUntil) return 'late'
      said = await deliverInTime(transport, letter)
    } catch (error) {
      if (error instanceof DeliveryError && error.unreachable) options.outage.failed()
      return await failed(options, claimed, error)
    }
    options.outage.over()
    await written(options, claimed, () => store.finish(claimed, 'sent', now()))
    log.info({ ...about, ...said }, 'message sent')
    return 'sent'
  }
}

/** Nobody is to get the message. The statements are committed with that. */
type Dropped = { readonly drop: readonly Statement[] }

async function compose(options: SenderOptions, claimed: Claimed): Promise<Letter | Dropped> {
  const { id, kind, accountId, auditId, createdAt } = claimed
  const { store, composers, texts, keys, now } = options
  const facts = claimed.sealed === null ? {} : await opened(options, claimed)
  const composer = composers[kind]
  if (composer === undefined) throw new DeliveryError(`this server has no composer for ${kind}`, { permanent: true })
  const date = now()
  const composed = await composer({ id, kind, accountId, auditId, createdAt, facts }, date)
  if (composed === 'drop') return { drop: [] }
  if ('drop' in composed) return composed
  const letter = await texts.write(composed, { kind, messageId: `${id}@${options.host}`, date })
  // The letter itself is kept, not what it was made of: all attempts are alike, even if the texts change meanwhile.
  await store.compose(claimed, await seal(keys(), date, id, { letter: JSON.stringify(letter) }), composed.statements)
  return letter
}

async function open(options: SenderOptions, claimed: Claimed): Promise<Letter> {
  return JSON.parse(String((await opened(options, claimed)).letter))
}

async function opened({ keys }: SenderOptions, { id, sealed }: Claimed) {
  const facts = await unseal(keys(), id, String(sealed))
  if (facts === undefined)
    throw new DeliveryError('the key that encrypted it is not in the keys folder', { permanent: true })
  return facts
}

async function failed(options: SenderOptions, claimed: Claimed, error: unknown): Promise<Outcome> {
  const { store, log, now, random = Math.random } = options
  const { id: message, kind, accountId, createdAt } = claimed
  const known = error instanceof DeliveryError
  const reason = known ? error.message : `an error of ours: ${(error as Error).name}, see the log`
  if (!known) log.error({ err: error, message, kind }, 'a message could not be composed or delivered')
  const at = now()
  if ((known && error.permanent) || at >= createdAt + GIVE_UP_AFTER_SECONDS) {
    const entry = { event: 'message_dead', source: NO_SOURCE, detail: { message, kind, reason } } as const
    const audit = auditRow({ ...entry, accountId: accountId ?? undefined }, at, stillClaimed(claimed))
    await written(options, claimed, () => store.bury(claimed, reason, at, audit))
    return 'dead'
  }
  const next = at + pauseAfter(claimed.attempts + 1, random())
  await written(options, claimed, () => store.postpone(claimed, reason, next))
  log.warn({ message, kind, reason, seconds: next - at }, 'a message was not delivered, and is tried again')
  return 'postponed'
}

/**
 * Writes down what became of a message. It tries for as long as the message is claimed: if a delivered message stayed
 * `composed` because the store was away for a moment, it would be delivered twice.
 */
async function written({ log, now, signal }: SenderOptions, claimed: Claimed, write: () => Promise<void>) {
  for (;;) {
    try {
      return await write()
    } catch (err) {
      if (signal.aborted || now() >= claimed.claimedUntil)
        return log.warn({ err, message: claimed.id }, 'what became of a message could not be written down')
      await sleep(STORE_RETRY_MS, undefined, { ref: false })
    }
  }
}
