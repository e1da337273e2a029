import { OperatorError } from '../../../src/errors/app-error.ts'

/** The replies to the requests of one round. */
export interface Replies {
  readonly good: number
  /** Number of replies that are not good, by kind. */
  readonly bad: Readonly<Record<string, number>>
}

/**
 * @returns good replies per second
 * @throws OperatorError when any reply was not good: a server that refuses is fast, and its figure means nothing
 */
export function goodRate(what: string, { good, bad }: Replies, seconds: number): number {
  if (good === 0 || Object.values(bad).some((count) => count > 0))
    throw new OperatorError(`${what}: ${good} good replies and ${JSON.stringify(bad)}`)
  return good / seconds
}
