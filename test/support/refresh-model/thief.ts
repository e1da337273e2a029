import assert from 'node:assert/strict'
import fc from 'fast-check'
import { MAX_FOREIGN_REPEATS } from '../../../src/sessions/judge-refresh.ts'
import { GRACE, HOME, LATER, type OneSession, type Place } from './one-session.ts'

interface Holder {
  token: string
  /** When it last got a token; undefined before that, and for a thief who has just stolen. */
  gotAt: number | undefined
}

/** An owner and somebody with a copy of his token, both of the same network and user agent: the hardest case. */
export class TwoHolders {
  readonly service: OneSession
  readonly owner: Holder
  thief: Holder | undefined
  readonly seen = new Set<string>()

  constructor(service: OneSession) {
    this.service = service
    this.owner = { token: service.first, gotAt: undefined }
    this.seen.add(service.first)
  }

  steal(): void {
    this.thief = { token: this.owner.token, gotAt: undefined }
  }

  async refresh(holder: Holder | undefined, { lost, node }: { lost: boolean; node: number }): Promise<void> {
    if (holder === undefined) return
    const answer = await this.service.show(holder.token, HOME, node)
    if (!('token' in answer)) return
    this.seen.add(answer.token)
    if (lost) return
    holder.token = answer.token
    holder.gotAt = this.service.elapsed
  }

  /** True when each has got a token of his own, not in lock-step. */
  haveParted(): boolean {
    const [one, other] = [this.owner.gotAt, this.thief?.gotAt]
    return one !== undefined && other !== undefined && Math.abs(one - other) >= LATER
  }

  /** Nobody holds anything that works. */
  async areOut(): Promise<void> {
    assert.equal(await this.service.isLive(), false) // first: a look at an old token would end the session
    for (const token of this.seen) assert.deepEqual(await this.service.show(token, HOME), { status: 401 })
  }
}

interface Step {
  readonly who: 'owner' | 'thief' | 'steals'
  readonly lost: boolean
  readonly node: number
  readonly seconds: number
}

export const steps = fc.array(
  fc.record<Step>({
    who: fc.constantFrom('owner', 'owner', 'thief', 'thief', 'steals'),
    lost: fc.boolean(),
    node: fc.nat(1),
    seconds: fc.constantFrom(0, 1, GRACE, GRACE + 1, LATER, 600, 86_400),
  }),
  { maxLength: 25 },
)

/** After any history with a thief, each of both refreshes once more, later than the grace: then nothing works. */
export async function thiefIsFound(
  service: OneSession,
  history: readonly Step[],
  last: readonly ('owner' | 'thief')[],
): Promise<void> {
  const holders = new TwoHolders(service)
  for (const { who, seconds, ...how } of history) {
    service.pass(seconds)
    if (who === 'steals') holders.steal()
    // A thief's answers are not lost: he gets what he asks for.
    else await holders.refresh(holders[who], { ...how, lost: who === 'owner' && how.lost })
  }
  if (holders.thief === undefined) holders.steal()
  const parted = holders.haveParted()
  for (const who of parted ? last : (['thief', ...last] as const)) {
    service.pass(LATER)
    await holders.refresh(holders[who], { lost: false, node: 0 })
  }
  service.pass(LATER)
  await holders.areOut()
}

export interface Round {
  readonly thiefFirst: boolean
  /** How often the first one rotates before the other comes. */
  readonly rotations: number
  /** Between the two. */
  readonly seconds: number
  /** Until the next round. */
  readonly pause: number
}

export const rounds = fc.array(
  fc.record<Round>({
    thiefFirst: fc.boolean(),
    rotations: fc.integer({ min: 1, max: 3 }),
    seconds: fc.integer({ min: 0, max: GRACE }),
    pause: fc.constantFrom(0, 1, LATER, 600),
  }),
  { minLength: MAX_FOREIGN_REPEATS, maxLength: MAX_FOREIGN_REPEATS },
)
export const elsewhere = fc.constantFrom<Place>(
  { ip: '203.0.113.9', userAgent: HOME.userAgent },
  { ip: HOME.ip, userAgent: 'Thief/6' },
  { ip: '2001:db8::9', userAgent: 'Thief/6' },
)

/** Owner and thief take turns within the grace, as often as it is let pass, and then it is over. */
export async function lockStepEnds(service: OneSession, played: readonly Round[], thief: Place): Promise<void> {
  let token = service.first
  for (const [index, { thiefFirst, rotations, seconds, pause }] of played.entries()) {
    service.pass(pause)
    const [one, other] = thiefFirst ? [thief, HOME] : [HOME, thief]
    let newest = token
    for (let n = 0; n < rotations; n += 1) {
      const rotated = await service.show(newest, one, n % 2)
      assert.ok('token' in rotated, `round ${index}`)
      newest = rotated.token
    }
    service.pass(seconds)
    const repeated = await service.show(token, other, 1)
    assert.deepEqual(repeated, index < MAX_FOREIGN_REPEATS - 1 ? { token: newest } : { status: 401 })
    token = newest
  }
  for (const place of [HOME, thief]) assert.deepEqual(await service.show(token, place), { status: 401 })
}
