import { MAX_ACCESS_TOKEN_TTL_SECONDS } from '../../config/ceilings.ts'
import type { Refusal } from '../../errors/refusals.ts'
import type { AccessTokenClaims } from '../../tokens/claims.ts'
import type { ExplainOptions, Explanation } from './explain.ts'
import { CHECK_TEXTS, NEEDS_FEED, TOKEN_CHECKS, type TokenRefusal } from './explain-texts.ts'

/** Characters of a value, and claims of a payload, that are shown. */
const SHOWN = { value: 160, name: 40, claims: 40, kids: 10 }
/** Characters that are looked at. */
const LOOKED_AT = 4096

/** The report as plain text. It holds no signature and no token. */
export function explainReport(explanation: Explanation, options: ExplainOptions): string {
  const refusal = explanation.error?.refusal as TokenRefusal | undefined
  return [
    'The checks, in the order in which the guard makes them:',
    ...TOKEN_CHECKS.map((check) => `  ${checkLine(check, refusal, explanation, options)}`),
    '  What a route asks for (roles, scope, age of the login) is not checked here.',
    '',
    ...contents(explanation, options),
    '',
    ...clocks(explanation, options),
    ...result(explanation, options),
    '',
  ].join('\n')
}

function checkLine(
  check: TokenRefusal,
  refusal: TokenRefusal | undefined,
  explanation: Explanation,
  options: ExplainOptions,
): string {
  const line = (state: string, text: string) => `${state.padEnd(12)} ${check.padEnd(20)} ${text}`
  if (check === refusal) return line('FAILS', measured(check, explanation, options))
  const isAfter = refusal !== undefined && TOKEN_CHECKS.indexOf(check) > TOKEN_CHECKS.indexOf(refusal)
  if (isAfter) return line('not checked', 'a check before it fails')
  const unread = NEEDS_FEED.includes(check) ? withoutFeed(explanation) : undefined
  return unread === undefined ? line('ok', CHECK_TEXTS[check].holds) : line('not checked', unread)
}

function withoutFeed({ feed }: Explanation): string | undefined {
  if (feed === 'read') return undefined
  return feed === undefined ? 'the feed was not asked for' : `the feed could not be read: ${shown(feed.failed)}`
}

/** What is wrong, and by how much. */
function measured(
  check: TokenRefusal,
  { error, kids, keysFailed, header, payload }: Explanation,
  options: ExplainOptions,
): string {
  const { alg, typ, kid } = { alg: undefined, typ: undefined, kid: undefined, ...header }
  const { iss, aud, iat = 0, exp = 0, nbf, sid, jti, sub, client_id, token_version } = payload ?? {}
  const now = options.now()
  const texts: Partial<Record<Refusal, () => string>> = {
    alg: () => `alg is ${shown(alg)}, and the guard takes RS256 alone`,
    typ: () => `typ is ${shown(typ)}, and an access token has at+jwt`,
    keys_unavailable: () => `the keys can not be had: ${shown(keysFailed)}`,
    kid_unknown: () =>
      `kid is ${shown(kid)}; the JWKS has ${(kids ?? [])
        .slice(0, SHOWN.kids)
        .map((one) => shown(one))
        .join(', ')}`,
    revoked_key: () => `the key ${shown(kid)} was revoked`,
    issuer: () => `iss is ${shown(iss)}, and you trust ${shown(options.issuer)}`,
    audience: () => `aud is ${shown(aud)}, and you are ${options.audience.map((one) => shown(one)).join(' or ')}`,
    not_yet_valid: () =>
      iat > now || nbf === undefined
        ? `iat is ${seconds(iat - now)} in the future (${instant(iat)})`
        : `nbf is ${seconds(nbf - now)} in the future (${instant(nbf)})`,
    lifetime: () =>
      exp <= iat
        ? `exp is ${seconds(iat - exp)} before iat`
        : `it is good for ${seconds(exp - iat)}, and the guard takes ${seconds(MAX_ACCESS_TOKEN_TTL_SECONDS)}`,
    expired: () => `expired ${seconds(now - exp)} ago (${instant(exp)})`,
    revoked_account: () => `the account ${shown(sub)} is revoked`,
    revoked_client: () => `the client ${shown(client_id)} is revoked, or its tokens of before`,
    revoked_session: () => `the session ${shown(sid)} has ended`,
    revoked_token: () => `the token ${shown(jti)} is revoked`,
    stale_version: () => `the account ${shown(sub)} changed after version ${shown(token_version)}`,
  }
  return texts[check]?.() ?? error?.reason ?? error?.message ?? ''
}

/** What stands in the token. Whether that can be believed is the first that is said. */
function contents({ error, header, payload }: Explanation, options: ExplainOptions): string[] {
  const isVerified =
    error === undefined || TOKEN_CHECKS.indexOf(error.refusal as TokenRefusal) > TOKEN_CHECKS.indexOf('signature')
  const trust = isVerified ? 'its signature is good' : 'NOT VERIFIED, anybody could have written it'
  const lines = [`What the token says (${trust}):`]
  if (header === undefined && payload === undefined) return [...lines, '  nothing that can be read']
  for (const [name, value] of Object.entries(header ?? {}).slice(0, SHOWN.claims))
    lines.push(`  header ${named(name)} ${shown(value)}`)
  const claims = Object.entries(payload ?? {})
  for (const [name, value] of claims.slice(0, SHOWN.claims))
    lines.push(`  ${named(name)} ${shown(value)}${dated(name, value, options.now())}`)
  if (claims.length > SHOWN.claims) lines.push(`  … and ${claims.length - SHOWN.claims} more claims`)
  return lines
}

const TIMES: readonly string[] = ['iat', 'exp', 'nbf', 'auth_time'] satisfies (keyof AccessTokenClaims)[]

function dated(name: string, value: unknown, now: number): string {
  if (!TIMES.includes(name) || typeof value !== 'number') return ''
  const away = now - value
  return ` (${instant(value)}, ${away < 0 ? `in ${seconds(-away)}` : `${seconds(away)} ago`})`
}

function clocks({ clockAhead, error, payload }: Explanation, { now }: ExplainOptions): string[] {
  if (clockAhead === undefined) return ['Clocks: the issuer did not say what time it is.']
  if (Math.abs(clockAhead) <= 1) return ['Clocks: this machine and the issuer agree, to a second or two (Date header).']
  const which = clockAhead > 0 ? 'behind' : 'ahead'
  const difference = `differ by about ${seconds(Math.abs(clockAhead))} (Date header): yours is ${which}`
  const lines = [`Clocks: your clock and the issuer's ${difference}.`]
  const { iat = 0, nbf = 0, exp = Number.POSITIVE_INFINITY } = payload ?? {}
  const isAboutTime = error?.refusal === 'expired' || error?.refusal === 'not_yet_valid'
  const there = now() + clockAhead
  if (isAboutTime && there >= Math.max(iat, nbf) && there < exp)
    lines.push('        By the clock of the issuer the token would be good: set the clock of this machine.')
  return lines
}

function result({ error, feed }: Explanation, { issuer }: ExplainOptions): string[] {
  if (error !== undefined) {
    const { refusal, code, status } = error
    const told = `the caller is told ${status} ${code}`
    const { advice } = CHECK_TEXTS[refusal as TokenRefusal]
    return [`Result: REFUSED, ${refusal}; ${told}.`, `        ${advice}`]
  }
  if (feed === 'read') return ['Result: good.']
  const risk = feed === undefined ? 'was not asked' : 'could not be asked'
  return [`Result: good, as far as it was checked: ${shown(issuer)} ${risk} what is revoked.`]
}

const seconds = (count: number) => (count < 120 ? `${count} s` : `${count} s (${duration(count)})`)

function duration(count: number): string {
  if (count < 7200) return `${Math.round(count / 60)} min`
  return count < 172_800 ? `${Math.round(count / 3600)} h` : `${Math.round(count / 86_400)} days`
}

/** RFC 3339, for what it can write. */
function instant(epochSeconds: number): string {
  const date = new Date(epochSeconds * 1000)
  return Number.isNaN(date.getTime()) ? 'no date' : date.toISOString().replace('.000Z', 'Z')
}

const named = (name: string) => shown(name, SHOWN.name).replace(/^"|"$/g, '')

/**
 * A value of the token, bounded and on one line: nothing in it moves the cursor or turns the text round. What looks
 * like a token in it is left out.
 */
function shown(value: unknown, most = SHOWN.value): string {
  const text = (JSON.stringify(value) ?? 'absent').slice(0, LOOKED_AT).replace(/eyJ[\w-]{8,}[\w.-]*/g, '(not shown)')
  const clean = text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (one) => `\\u{${one.codePointAt(0)?.toString(16)}}`)
  return clean.length > most ? `${clean.slice(0, most)}… (${clean.length} characters)` : clean
}
