/** When a refresh token was exchanged for a newer one. */
export interface Exchange {
  /** Epoch seconds. */
  readonly at: number
  /** The counter of the token that was shown. */
  readonly counter: number
}

/**
 * The longest list: some 250 exchanges, more than the default quota of a session allows within the longest grace. It
 * bounds what a row may hold.
 */
export const MAX_EXCHANGES_CHARS = 4096

const ENTRY = /^(\d{1,15}):(\d{1,10})$/

/** One entry of the list in a session's row: `<instant>:<counter>,`. */
export const exchangeEntry = ({ at, counter }: Exchange): string => `${at}:${counter},`

/** Reads the list of a session's row, the newest exchange first. What is no entry is left out. */
export function parseExchanges(text: string): Exchange[] {
  return text.split(',').flatMap((entry) => {
    const [, at, counter] = ENTRY.exec(entry) ?? []
    return at === undefined ? [] : [{ at: Number(at), counter: Number(counter) }]
  })
}

/** The list as it is stored, the newest exchange first. */
export const formatExchanges = (exchanges: readonly Exchange[]): string => exchanges.map(exchangeEntry).join('')
