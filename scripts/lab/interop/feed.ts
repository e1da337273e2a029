import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { OperatorError } from '../../../src/errors/app-error.ts'
import { HERE, type Place, printed, pythonWith } from './program.ts'
import { lineVerifier, type Verifier } from './verifiers.ts'

/** A revoked token must be refused within this time. */
const TIMEOUT_MS = 10_000

/** A renewal comes at the end of a long poll at the latest. */
const RENEWAL_TIMEOUT_MS = 70_000
const VECTORS = join(HERE, '../../../src/revocations/vectors')

/**
 * Gives the test vectors to the follower in Python. Then runs the two Python recipes together, PyJWT and the follower
 * of the feed: they must refuse what is revoked, and nothing else.
 *
 * @returns a line for the report
 */
export async function followFeed({ issuer }: Place): Promise<string> {
  const program = pythonWith('jwt')
  if (program === undefined || printed(program, ['-c', 'import requests']) === undefined)
    return 'left out: the revocation feed in Python (apt-get install python3-jwt python3-cryptography python3-requests)'
  const paths = readdirSync(VECTORS).map((file) => join(VECTORS, file))
  const vectors = printed(program, [join(HERE, 'python/vectors.py'), ...paths])
  if (vectors === undefined) throw new OperatorError('revocation feed: the follower in Python fails test vectors')
  const guard = lineVerifier({ program, args: [join(HERE, 'python/guard.py')], env: issuer.environment })
  const [stays, goes] = [await issuer.logIn(), await issuer.logIn()]
  await accepted(guard, stays)
  await accepted(guard, goes)
  await issuer.logOut(goes)
  const session = await untilRefused(guard, goes)
  await renewed(guard)
  await accepted(guard, stays)
  await issuer.revokeKey(JSON.parse(Buffer.from(stays.split('.')[0] ?? '', 'base64url').toString()).kid)
  const key = await untilRefused(guard, stays)
  await accepted(guard, await issuer.logIn())
  return (
    `revocation feed, followed in Python: ${vectors}; refused ${session} ms after its session ended, ` +
    `renewed, refused ${key} ms after its key was revoked`
  )
}

/** Waits until the copy counts as fresh for longer than now. */
async function renewed(guard: Verifier): Promise<void> {
  const before = (await guard.ask('fresh until')).text
  const began = performance.now()
  while ((await guard.ask('fresh until')).text === before) {
    if (performance.now() - began > RENEWAL_TIMEOUT_MS) throw new OperatorError('revocation feed: it was not renewed')
    await sleep(200)
  }
}

async function accepted(guard: Verifier, token: string): Promise<void> {
  const answer = await guard.ask(token)
  if (!answer.accepted) throw new OperatorError(`revocation feed: a good token is refused: ${answer.text}`)
}

async function untilRefused(guard: Verifier, token: string): Promise<number> {
  const began = performance.now()
  let answer = await guard.ask(token)
  while (answer.accepted && performance.now() - began < TIMEOUT_MS) {
    await sleep(20)
    answer = await guard.ask(token)
  }
  if (answer.accepted || answer.text !== 'withdrawn') throw new OperatorError(`revocation feed: ${answer.text}`)
  return Math.round(performance.now() - began)
}
