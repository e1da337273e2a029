import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { OperatorError } from '../../../../src/errors/app-error.ts'
import { createVerifier, type SignetError } from '../../../../src/verifier/index.ts'
import type { Place } from '../program.ts'
import type { Table } from '../runtimes/attacks.ts'
import { type Command, start } from '../verifiers.ts'
import type { GuardTrial } from './guard-trial.ts'

/** Brackets to a depth where Python's parser gives up: it can't tell whether what follows is JSON or not. */
const TOO_DEEP = /^payload "\[{20}/

interface Verdict {
  readonly code: string
  /** Of a good token: its subject. */
  readonly refusal: string
}

/**
 * Every token of the attack table and every unusual good one, as a text: no server stands before the verifier then, so
 * it also gets what no header line can carry. Code and reason have to be those of signet-verifier.
 */
export async function sameVerdicts(trials: readonly GuardTrial[], place: Place, table: Table): Promise<void> {
  const tokens = [...table.corpus, ...table.good]
  const own = await ownVerdicts(
    place,
    tokens.map(({ token }) => token),
  )
  const done = new Map<string, readonly Verdict[]>()
  for (const trial of trials) {
    const command = await trial.guard.judge(place)
    const key = command.program + command.args
    const verdicts =
      done.get(key) ??
      (await judged(
        command,
        tokens.map(({ token }) => token),
      ))
    done.set(key, verdicts)
    tokens.forEach(({ name }, i) => {
      const [expected, found] = [own[i], verdicts[i]]
      if (expected?.code === found?.code && (expected?.refusal === found?.refusal || TOO_DEEP.test(name))) return
      trial.faults.push(
        `${name}: ${found?.code} ${found?.refusal}, and signet-verifier says ${expected?.code} ${expected?.refusal}`,
      )
    })
    trial.counts.set('tokens', String(tokens.length))
  }
}

async function ownVerdicts({ issuer }: Place, tokens: readonly string[]): Promise<Verdict[]> {
  const verifier = createVerifier({
    issuer: issuer.url,
    audience: issuer.audience,
    jwksUri: `${issuer.origin}/.well-known/jwks.json`,
  })
  const verdicts: Verdict[] = []
  for (const token of tokens)
    verdicts.push(
      await verifier.verify(token).then(
        ({ sub }) => ({ code: 'good', refusal: sub }),
        ({ code, refusal }: SignetError) => ({ code, refusal: String(refusal) }),
      ),
    )
  verifier.close()
  return verdicts
}

async function judged(command: Command, tokens: readonly string[]): Promise<readonly Verdict[]> {
  const { child, complaint } = start(command)
  child.stdin?.end(JSON.stringify(tokens))
  const [output] = await Promise.all([text(child.stdout as NodeJS.ReadableStream), once(child, 'close')])
  if (child.exitCode !== 0) throw new OperatorError(`${command.program} ${command.args}: ${complaint()}`)
  return JSON.parse(output)
}
