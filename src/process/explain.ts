import { OperatorError } from '../errors/app-error.ts'

/** Exactly one line about what, where and what to do; a stack trace only for what we did not foresee. */
export function explain(error: unknown): string {
  const foreseen = error instanceof OperatorError
  const hint = foreseen && error.hint ? `hint: ${error.hint}\n` : ''
  return `signet: error: ${foreseen ? error.message : (error as Error).stack}\n${hint}`
}
