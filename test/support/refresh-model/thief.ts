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
  /** Between two rotations once each has a token of his own. */
  readonly apart: number
}

export const rounds = fc.array(
  fc.record<Round>({
    thiefFirst: fc.boolean(),
    rotations: fc.integer({ min: 1, max: 3 }),
    seconds: fc.integer({ min: 0, max: GRACE }),
    pause: fc.constantFrom(0, 1, LATER, 600),
    apart: fc.constantFrom(0, GRACE - 1, GRACE + 1, 2 * GRACE - 2, LATER),
  }),
  { minLength: MAX_FOREIGN_REPEATS, maxLength: MAX_FOREIGN_REPEATS },
)
export const elsewhere = fc.constantFrom<Place>(
  { ip: '203.0.113.9', userAgent: HOME.userAgent },
  { ip: '2001:db8::9', userAgent: HOME.userAgent },
  { ip: HOME.ip, userAgent: 'Thief/6' },
  { ip: '2001:db8::9', userAgent: 'Thief/6' },
)

/**
 * Owner and thief take turns within the grace, as often as it is let pass. With another user agent it is over then.
 * With that of the owner each has a token of his own from then on, and the second to refresh is found.
 */
export async function lockStepEnds(service: OneSession, played: readonly Round[], thief: Place): Promise<void> {
  let token = service.first
  const seen = [token]
  const held = new Map<Place, string>()
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
    if (index < MAX_FOREIGN_REPEATS - 1) assert.deepEqual(repeated, { token: newest }, `round ${index}`)
    else if (thief.userAgent !== HOME.userAgent) assert.deepEqual(repeated, { status: 401 })
    else {
      assert.ok('token' in repeated && repeated.token !== newest, 'a token of his own')
      held.set(one, newest).set(other, repeated.token)
    }
    token = newest
    seen.push(token)
  }
  if (held.size > 0) await onlyOneGoesOn(service, held, played[0] as Round)
  for (const token of [...seen, ...held.values()])
    for (const place of [HOME, thief]) assert.deepEqual(await service.show(token, place), { status: 401 })
}

/** They go on, at once or out of step, and then each once more: the second to refresh is found, if not both before. */
async function onlyOneGoesOn(service: OneSession, held: Map<Place, string>, round: Round): Promise<void> {
  const places = round.thiefFirst ? [...held.keys()] : [...held.keys()].reverse()
  const show = async (place: Place) => {
    const answer = await service.show(held.get(place) as string, place)
    if ('token' in answer) held.set(place, answer.token)
    return answer
  }
  for (let n = 0; n < 3 * round.rotations; n += 1) {
    service.pass(round.apart)
    for (const place of places) {
      await show(place)
      service.pass(round.seconds)
    }
  }
  service.pass(LATER)
  await show(places[0] as Place)
  service.pass(round.seconds)
  const second = await show(places[1] as Place)
  assert.deepEqual(second, { status: 401 }, 'the other one is found')
}

export interface Act {
  readonly isThief: boolean
  /** Which of his networks, and which of the tokens that he has seen, a thief uses. */
  readonly network: number
  readonly token: number
  readonly seconds: number
}

export const acts = fc.array(
  fc.record<Act>({
    isThief: fc.boolean(),
    network: fc.nat(1),
    token: fc.nat(9),
    seconds: fc.constantFrom(0, 0, 1, 3),
  }),
  { maxLength: 12 },
)

/** After the rotations that are let pass, a thief who does whatever he likes never has the token that the owner got. */
export async function sharesNoMore(service: OneSession, played: readonly Act[]): Promise<void> {
  const networks = ['203.0.113.9', '2001:db8::9'].map((ip) => ({ ...HOME, ip }))
  let kept = service.first
  for (let round = 1; round < MAX_FOREIGN_REPEATS; round += 1) {
    service.pass(600)
    const rotated = await service.show(kept, HOME)
    assert.deepEqual(await service.show(kept, networks[0] as Place), rotated)
    assert.ok('token' in rotated)
    kept = rotated.token
  }
  service.pass(600)
  const stolen = [kept]
  let [owners, thiefs] = [0, 0]
  for (const { isThief, network, token, seconds } of played) {
    service.pass(seconds)
    const shown = isThief ? (stolen[token % stolen.length] as string) : kept
    const answer = await service.show(shown, isThief ? (networks[network] as Place) : HOME)
    if (!('token' in answer)) continue
    if (isThief) thiefs = stolen.push(answer.token)
    else owners += 1
    if (!isThief) kept = answer.token
    if (owners > 0 && thiefs > 0) assert.ok(!stolen.includes(kept), 'both hold the same token')
  }
}
