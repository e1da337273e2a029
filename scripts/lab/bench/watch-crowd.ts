import { randomUUID } from 'node:crypto'
import { systemClock } from '../../../src/clock.ts'
import type { AccessTokenClaims } from '../../../src/tokens/claims.ts'
import { FollowedSet } from '../../../src/verifier/feed/followed-set.ts'
import { Watch } from '../../../src/verifier/watch/watch.ts'

/**
 * How long the event loop is held up when one of very many is revoked, and when all are. Without signatures: claims as
 * they come out of a token, judged by the set of the follower.
 *
 * @returns lines for the report
 */
export async function crowd(count: number): Promise<string[]> {
  const set = new FollowedSet()
  const end = systemClock() + 900
  let told = 0
  let wake = () => {}
  const watch = new Watch<string>({
    now: systemClock,
    skew: 5,
    judge: (claims) => (set.judge(claims) === 'good' ? undefined : 'revoked'),
    isUnsure: () => false,
    look: async () => undefined,
    beat: () => false,
    onError: () => undefined,
  })
  const claims = Array.from({ length: count }, (_, i) => claimsOf(end - (i % 600)))
  const sessions = claims.map(({ sid }) => String(sid))
  for (const one of claims)
    watch.add(one, 'kid', () => {
      told += 1
      wake()
    })
  /** @returns milliseconds until `many` are told, of processor time, and the longest turn of the event loop */
  const revoke = async (ids: readonly string[]) => {
    const before = told
    set.add({ sessions: [...ids] }, 1, end + 900)
    const began = performance.now()
    const used = process.cpuUsage()
    const blocks = longestTurn()
    watch.changed()
    await new Promise<void>((resolve) => {
      wake = () => told === before + ids.length && resolve()
    })
    const { user, system } = process.cpuUsage(used)
    const took = Math.round(performance.now() - began)
    const [turn, processor] = [blocks.end(), Math.round((user + system) / 1000)]
    return `${took} ms (${processor} ms of processor time), longest turn of the event loop ${turn.toFixed(1)} ms`
  }
  await revoke(sessions.slice(0, 1000)) // warms up
  const last = await revoke(sessions.slice(-1))
  const all = await revoke(sessions.slice(1000, -1))
  watch.close()
  return [`${count} watched, the last one revoked: told after ${last}`, `all revoked: told after ${all}`]
}

function claimsOf(exp: number): AccessTokenClaims {
  const id = randomUUID()
  const [sub, sid] = [`acc_${id}`, `ses_${id}`]
  const claims = { iss: 'https://a.example', aud: 'https://b.example', client_id: 'signet', jti: id, sub, sid }
  return Object.freeze({ ...claims, iat: exp - 900, exp, token_version: 1 })
}

/** Times each turn of the event loop by the processor time of this thread, which other programs do not lengthen. */
function longestTurn(): { end(): number } {
  const now = () => {
    const { user, system } = process.threadCpuUsage()
    return (user + system) / 1000
  }
  let [longest, before, goesOn] = [0, now(), true]
  const turn = () => {
    const at = now()
    longest = Math.max(longest, at - before)
    before = at
    if (goesOn) setImmediate(turn)
  }
  setImmediate(turn)
  return {
    end() {
      goesOn = false
      return longest
    },
  }
}
