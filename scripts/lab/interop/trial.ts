import { OperatorError } from '../../../src/errors/app-error.ts'
import type { Place, Program } from './program.ts'
import type { BadTokens } from './tokens.ts'
import type { Answer, Verifier } from './verifiers.ts'

export interface Trial {
  readonly program: Program
  readonly version: string
  readonly verifier: Verifier
  /** One word per column of the report: whether the program accepts such a token. */
  readonly cells: Map<string, string>
  /** The answer to each token, for `--reasons`. */
  readonly reasons: string[]
  readonly faults: string[]
}

/** A good token must be accepted, with the right subject. */
export async function accepts(trial: Trial, column: string, tokens: Readonly<Record<string, string>>): Promise<void> {
  for (const [what, token] of Object.entries(tokens)) {
    const { accepted, text } = await answer(trial, what, token)
    const good = accepted && text === subject(token)
    if (!good) trial.faults.push(`${trial.program.name}: ${what}: ${text}`)
    if (!good || !trial.cells.has(column)) trial.cells.set(column, good ? 'yes' : '**NO**')
  }
}

export async function refusesAll(trial: Trial, columns: BadTokens): Promise<void> {
  for (const [column, tokens] of Object.entries(columns)) {
    for (const [what, token] of Object.entries(tokens)) {
      if (!(await answer(trial, what, token)).accepted) continue
      if (what === trial.program.unchecked) trial.cells.set(column, 'no *')
      else fail(trial, column, what)
    }
    if (!trial.cells.has(column)) trial.cells.set(column, 'no')
  }
}

/**
 * A recipe that is started without an audience must accept nothing: many libraries take a missing audience for "any".
 */
export async function refusesUnset(trial: Trial, place: Place, token: string): Promise<void> {
  const environment = { ...place.issuer.environment, AUDIENCE: '' }
  const given = await trial.program
    .start({ ...place, issuer: { ...place.issuer, environment } })
    .then(({ ask }) => ask(token))
    .catch((error: Error) => ({ accepted: false, text: error.message }))
  trial.reasons.push(`${trial.program.name}: no audience set: ${given.accepted ? 'accepted' : 'refused'} ${given.text}`)
  if (given.accepted) fail(trial, 'other aud', 'any token when AUDIENCE is empty')
}

function fail({ program, faults, cells }: Trial, column: string, what: string): void {
  faults.push(`${program.name}: accepted: ${what}`)
  cells.set(column, '**YES**')
}

async function answer({ program, verifier, reasons }: Trial, what: string, token: string): Promise<Answer> {
  const given = await verifier.ask(token).catch((error) => {
    throw new OperatorError(`${program.name}: ${what}: ${error.message}`, { cause: error })
  })
  reasons.push(`${program.name}: ${what}: ${given.accepted ? 'accepted' : 'refused'} ${given.text}`)
  return given
}

const subject = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).sub

/** The table for README.md, and a line for each program that has a cell with `*`. */
export function report(trials: readonly Trial[], columns: readonly string[]): string {
  const head = ['program', 'version', ...columns]
  const rows = trials.map(({ program, version, cells }) => [
    `[${program.name}](${program.recipe})`,
    version,
    ...columns.map((column) => cells.get(column) ?? ''),
  ])
  const table = [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`)
  const marked = trials.filter(({ cells }) => [...cells.values()].includes('no *'))
  const notes = marked.map(({ program }) => `\n\\* ${program.name} accepts a token ${program.unchecked}.`)
  return [...table, ...notes].join('\n')
}
