import { Counter, type Registry } from 'prom-client'
import { ERRORS, type ErrorCode, errorRow } from '../errors/app-error.ts'
import { OAUTH_ERRORS, type OAuthErrorCode } from '../errors/oauth-error.ts'
import { REFUSALS } from '../errors/refusals.ts'
import type { Instrumentation } from './instrumentation.ts'

type Code = ErrorCode | OAuthErrorCode
const CODES = [...new Set([...Object.keys(ERRORS), ...Object.keys(OAUTH_ERRORS)])] as Code[]
/** Codes of refused credentials, and the code for credentials that could not be checked (`revocations_stale`). */
const ABOUT_CREDENTIALS = [
  ...(Object.keys(ERRORS) as ErrorCode[]).filter(
    (code) => errorRow(code).challenge !== undefined || code === 'revocations_stale',
  ),
  ...(['invalid_client', 'invalid_grant'] as const),
]

/**
 * Registers the counters of error answers: by code, and by why a token or its caller was refused. They are plain
 * numbers until somebody scrapes: a flood of bad tokens must not cost more than that.
 *
 * @returns the function that counts an answer
 */
export function registerRefusals(registry: Registry): Instrumentation['refused'] {
  const answers = zeros(CODES)
  const refusals = zeros(REFUSALS)
  const reads = () => answers
  readCounter(registry, 'signet_errors_total', 'Error answers by code', 'code', reads, CODES)
  const byCode = 'Credentials refused, by the code of the answer'
  readCounter(registry, 'signet_tokens_refused_total', byCode, 'reason', reads, ABOUT_CREDENTIALS)
  const byWord = 'Tokens and their callers refused, by the check that refused them'
  readCounter(registry, 'signet_refused_total', byWord, 'reason', () => refusals, REFUSALS)
  return (code, refusal) => {
    answers[code] += 1
    if (refusal !== undefined) refusals[refusal] += 1
  }
}

function zeros<Name extends string>(names: readonly Name[]): Record<Name, number> {
  return Object.fromEntries(names.map((name) => [name, 0])) as Record<Name, number>
}

/** A counter that reads plain numbers, one for each value of its label. */
function readCounter<Value extends string>(
  registry: Registry,
  name: string,
  help: string,
  label: string,
  read: () => Readonly<Record<Value, number>>,
  values: readonly Value[],
): void {
  new Counter({
    name,
    help,
    labelNames: [label],
    registers: [registry],
    collect() {
      this.reset()
      for (const value of values) this.inc({ [label]: value }, read()[value])
    },
  })
}
