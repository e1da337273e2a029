import { join } from 'node:path'
import { printedBy, type RuntimesPlace } from './runtimes.ts'

/** Requests for keys that a thousand cold starts with one store may cause. */
const MOST_JWKS_REQUESTS = 5

export interface Checked {
  /** For the report. */
  readonly line: string
  readonly faults: readonly string[]
}

interface Starts {
  readonly accepted: number
  readonly jwks: number
  readonly feed: number
}

export async function coldStarts(place: RuntimesPlace, { cold: count }: { readonly cold: number }): Promise<Checked> {
  const env = { TOKEN: await place.issuer.logIn(), COUNT: String(count) }
  const { waves, atOnce } = (await printedBy(place, [join(place.folder, 'services/cold.js')], env)) as {
    waves: Starts
    atOnce: Starts
  }
  const faults = Object.entries({ 'in ten waves': waves, 'at once': atOnce }).flatMap(([how, { accepted, jwks }]) => [
    ...(accepted === count ? [] : [`cold starts ${how}: ${count - accepted} of ${count} refused a good token`]),
    ...(jwks <= MOST_JWKS_REQUESTS ? [] : [`cold starts ${how}: ${jwks} requests for the JWKS`]),
  ])
  const told = ({ jwks, feed }: Starts) => `${jwks} for the JWKS and ${feed} for the feed`
  const asked = `${told(waves)} in ten waves, ${told(atOnce)} at once`
  const line = `${count} cold starts with one store asked the issuer ${asked}`
  return { line, faults }
}

/** Import and `createVerifier` start nothing, and no code is made of texts. */
export async function quietStart(place: RuntimesPlace): Promise<Checked> {
  const args = ['--disallow-code-generation-from-strings', join(place.folder, 'services/quiet.js')]
  const { done, resources, sub } = (await printedBy(place, args, { TOKEN: await place.issuer.logIn() })) as {
    done: string[]
    resources: number
    sub: string
  }
  const faults = [
    ...(done.length === 0 ? [] : [`before the first use the package called ${[...new Set(done)]}`]),
    ...(resources === 0 ? [] : [`before the first use ${resources} timers or sockets are open`]),
    ...(sub ? [] : ['without code generation no token is verified']),
  ]
  const line = 'import and createVerifier: no request, no timer, no code made of texts'
  return { line: faults.length === 0 ? line : `${line}: **NO**`, faults }
}
