import type { SqlValue } from './database.ts'

/**
 * A condition in SQL on what earlier statements of a transaction did, for example that one ended a session under a
 * certain mark.
 */
export interface OnlyIf {
  /** A SELECT, with parameters that are numbered from `$1`. The condition holds when it finds a row. */
  readonly exists: string
  readonly params: readonly (string | number)[]
}

/**
 * Puts a condition into a statement with parameters of its own.
 *
 * @param values the parameters of the statement. Those of the condition come after them
 * @returns the condition for its WHERE clause, true without `onlyIf`, and all parameters
 */
export function withCondition(
  values: readonly SqlValue[],
  onlyIf: OnlyIf | undefined,
): { condition: string; params: readonly SqlValue[] } {
  if (onlyIf === undefined) return { condition: '1 = 1', params: values }
  const renumbered = onlyIf.exists.replace(/\$(\d+)/g, (_, n) => `$${values.length + Number(n)}`)
  return { condition: `EXISTS (${renumbered})`, params: [...values, ...onlyIf.params] }
}
