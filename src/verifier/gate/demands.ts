import { assertDemands, type Demands } from '../../tokens/authorize.ts'

const NAMES = ['scope', 'role', 'max_auth_age']
/** Queries that are remembered: a gateway has one for each of its rules. */
const MAX_REMEMBERED = 1000
/** Characters of such a query. A longer one is read anew each time, because a thousand of them need much memory. */
const MAX_LENGTH = 1000

/** A demand of the gateway that can't be meant: nobody is let in, because less might be asked for than was meant. */
export class BadDemand extends Error {}

/**
 * What a gateway demands of a caller, by the query of its question: `scope=a%20b` (all of these), `role=a%20b` (one of
 * these), `max_auth_age=300` (seconds).
 *
 * @param query without the question mark
 * @throws BadDemand for a name that is not known, that comes twice, or whose value is no demand
 */
export function demandsOf(query: string): Demands {
  const demands: { scope?: string[]; roles?: string[]; maxAuthAge?: number } = {}
  const seen = new Set<string>()
  for (const [name, value] of new URLSearchParams(query)) {
    if (!NAMES.includes(name)) throw new BadDemand(`there is no demand ${shown(name)}: only ${NAMES.join(', ')}`)
    if (seen.has(name)) throw new BadDemand(`${name} is there twice: write one, with spaces (%20) in it`)
    seen.add(name)
    const names = value.split(' ')
    if (name === 'scope') demands.scope = names
    else if (name === 'role') demands.roles = names
    else demands.maxAuthAge = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN
  }
  try {
    assertDemands(demands)
  } catch (error) {
    throw new BadDemand((error as Error).message)
  }
  return demands
}

/** The same, and remembers what it found. */
export function rememberedDemands(): (query: string) => Demands {
  const remembered = new Map<string, Demands>()
  return (query) => {
    const known = remembered.get(query)
    if (known !== undefined) return known
    const demands = demandsOf(query)
    if (query.length > MAX_LENGTH) return demands
    if (remembered.size >= MAX_REMEMBERED) remembered.clear()
    remembered.set(query, demands)
    return demands
  }
}

function shown(name: string): string {
  return JSON.stringify(name.slice(0, 40))
}
