/**
 * Scheme, host and port of an absolute http(s) address in its plain spelling. What is not plain (user names,
 * backslashes, tabs, percent signs, `blob:`, `data:`) has no origin here, so it gets no token: parsers of URLs disagree
 * about these.
 */
const PLAIN = /^https?:\/\/([a-z\d.-]+|\[[\da-f:.]+\])(:\d+)?(?=[/?#]|$)/i

/**
 * An address as an absolute one; empty when it can't be read.
 *
 * @param base what relative addresses belong to: the address of the page
 */
export function absolute(address: string, base?: string): string {
  try {
    return PLAIN.test(address) ? address : new URL(address, base).href
  } catch {
    return ''
  }
}

/** The origin of an absolute address, in lower case and without a default port; empty when it has none. */
export const originOf = (address: string): string =>
  (PLAIN.exec(address)?.[0] ?? '').toLowerCase().replace(/^(http:.*):80$|^(https:.*):443$/, '$1$2')

/**
 * @returns the address without a slash at the end
 * @throws TypeError when it is no plain http(s) address, or has a query or a fragment
 */
export function checkedIssuer(issuer: string): string {
  if (!PLAIN.test(issuer) || /[?#]/.test(issuer)) throw new TypeError(`issuer: not an address: ${issuer}`)
  return issuer.replace(/\/+$/, '')
}

/**
 * The origins that get the access token: those of the API, and always the issuer's own.
 *
 * @throws TypeError for anything that is not an origin, such as `*` or an address with a path
 */
export function checkedOrigins(issuer: string, apiOrigins: readonly string[] = []): ReadonlySet<string> {
  for (const one of apiOrigins)
    if (PLAIN.exec(one)?.[0] !== one) throw new TypeError(`apiOrigins: not an origin: ${one}`)
  return new Set([issuer, ...apiOrigins].map(originOf))
}
