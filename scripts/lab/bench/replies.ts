import { OperatorError } from '../../../src/errors/app-error.ts'

/** What became of the requests of one round. */
export interface Replies {
  readonly good: number
  /** Everything that is no good reply, by kind. */
  readonly bad: Readonly<Record<string, number>>
}

/**
 * @returns good replies per second
 * @throws OperatorError when any reply was not: a server that refuses is fast, and its figure means nothing
 */
export function goodRate(what: string, { good, bad }: Replies, seconds: number): number {
  if (good === 0 || Object.values(bad).some((count) => count > 0))
    throw new OperatorError(`${what}: ${good} good replies and ${JSON.stringify(bad)}`)
  return good / seconds
}
