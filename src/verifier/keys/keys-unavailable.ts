import { AppError } from '../../errors/app-error.ts'

/** The key of a token is not known, and whether it is good can't be told. @param reason for the log */
export function keysUnavailable(reason: string, cause?: unknown): AppError {
  return new AppError('keys_unavailable', { reason, refusal: 'keys_unavailable', cause })
}

/** From a failed fetch to the next: while there are good keys, and while every token is refused with 503. */
const RETRY_MS = { least: 500, most: 30_000, mostWithoutKeys: 2000 }
/** For so long a failed fetch says that the issuer is away. */
export const AWAY_MS = 60_000
/** So many failures that the time between two fetches grows no more. */
export const MANY = 11

/** @returns milliseconds from the last of so many failures to the next fetch */
export function backOffMs(failures: number, hasGoodKeys: boolean): number {
  const most = hasGoodKeys ? RETRY_MS.most : RETRY_MS.mostWithoutKeys
  return Math.min(most, RETRY_MS.least * 2 ** (Math.min(failures, MANY) - 1))
}
