import { OperatorError } from '../errors/app-error.ts'

/**
 * What the operator reads: one line with the fault and one with a hint. Only an unforeseen error gets a stack trace.
 */
export function explain(error: unknown): string {
  const foreseen = error instanceof OperatorError
  const hint = foreseen && error.hint ? `hint: ${error.hint}\n` : ''
  return `signet: error: ${foreseen ? error.message : (error as Error).stack}\n${hint}`
}
