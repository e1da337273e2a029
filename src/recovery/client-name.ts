/** Cut here: it is shown in a message. */
const MAX_CHARACTERS = 40

/** The first that fits counts: Chrome also calls itself Safari, and the others also call themselves Chrome. */
const BROWSERS: readonly (readonly [string, RegExp])[] = [
  ['Edge', /\b(?:Edg|EdgA|EdgiOS)\//],
  ['Opera', /\bOPR\//],
  ['Samsung Internet', /\bSamsungBrowser\//],
  ['Firefox', /\b(?:Firefox|FxiOS)\//],
  ['Chrome', /\b(?:Chrome|CriOS)\//],
  ['Safari', /\bSafari\//],
]
const SYSTEMS: readonly (readonly [string, RegExp])[] = [
  ['iOS', /\b(?:iPhone|iPad|iPod)\b/],
  ['Android', /\bAndroid\b/],
  ['ChromeOS', /\bCrOS\b/],
  ['Windows', /\bWindows\b/],
  ['macOS', /\b(?:Macintosh|Mac OS X)\b/],
  ['Linux', /\bLinux\b/],
]

/**
 * What a person would call a client: `Firefox, Windows`, or the name of an app. It has no version, so that an update is
 * no new client. The client chooses the text (User-Agent, RFC 9110 section 10.1.5). Only letters, digits, spaces,
 * hyphens and underscores of it are left: a message of ours must not carry an address that somebody else chose, and
 * mail programs make a link of `evil.example`.
 *
 * @returns '' when the client names itself in no way
 */
export function clientName(userAgent: string | null): string {
  const text = userAgent ?? ''
  const isBrowser = text.startsWith('Mozilla/')
  const browser = isBrowser ? BROWSERS.find(([, pattern]) => pattern.test(text))?.[0] : undefined
  const name = browser ?? (isBrowser ? '' : productOf(text))
  const system = SYSTEMS.find(([, pattern]) => pattern.test(text))?.[0]
  return [name, system].filter((part) => part !== undefined && part !== '').join(', ')
}

/** The first name of the text, without its version. */
function productOf(text: string): string {
  const [product = ''] = text.split(/[/(]/, 1)
  return product
    .replace(/[^A-Za-z0-9_-]+/g, ' ')
    .trim()
    .slice(0, MAX_CHARACTERS)
    .trim()
}
