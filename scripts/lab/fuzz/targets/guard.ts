import fc from 'fast-check'
import { ACCESS_TOKEN_TYPE, REQUIRED_CLAIMS } from '../../../../src/tokens/claims.ts'
import { bearer, newUser, startApp } from '../../../../test/support/app.ts'
import { count, MAY_BE, NOW, policy, VALUES } from '../../../../test/support/claims.ts'
import { type Mint, serverMint } from '../../../../test/support/mint.ts'
import { codeOf, complaints } from '../answers.ts'
import { type Edit, edited, someEdits } from '../edits.ts'
import { demand, demandNone, type Target } from '../target.ts'

const CODES = ['missing_token', 'invalid_token', 'token_expired']
const HEADER_MEMBERS = ['alg', 'kid', 'typ', 'crit', 'b64', 'jwk', 'jku', 'x5c', 'x5u', 'zip', 'cty', '__proto__']
const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const HEADER_VALUES = [
  'RS256',
  'rs256',
  'HS256',
  'PS256',
  'none',
  'at+jwt',
  'AT+JWT',
  'application/at+jwt',
  'JWT',
  'constructor',
  '',
]

/** A credential that differs from a good one, and how. */
type Attack =
  | { readonly way: 'line' | 'token' | 'part' | 'letter'; readonly edits: readonly Edit[]; readonly part: number }
  | { readonly way: 'signed'; readonly header: Record<string, unknown>; readonly claims: Record<string, unknown> }

const json = fc.oneof(fc.jsonValue(), fc.constantFrom(...VALUES.filter(isJson)))
const attack: fc.Arbitrary<Attack> = fc.oneof(
  fc.record({ way: fc.constantFrom('line', 'token', 'part', 'letter'), edits: someEdits, part: fc.nat(2) }),
  fc.record({
    way: fc.constant('signed' as const),
    header: fc.dictionary(
      fc.oneof(fc.constantFrom(...HEADER_MEMBERS), fc.string()),
      fc.oneof(fc.constantFrom(...HEADER_VALUES), fc.jsonValue()),
      { maxKeys: 2 },
    ),
    claims: fc.dictionary(
      fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...Object.keys(MAY_BE), 'cnf') }, fc.string()),
      json,
      { maxKeys: 2 },
    ),
  }),
)

/** Tokens at `GET /v1/me`: changed byte by byte, or signed with the server's own key over any header and claims. */
export const guard: Target = {
  name: 'guard',
  async prepare(stage) {
    const env = { ISSUER: policy.issuer, AUDIENCE: policy.audience?.join() ?? '', CLOCK_SKEW: String(policy.skew) }
    const server = await startApp(stage as never, { env, now: () => NOW })
    const mint = await serverMint(server, NOW)
    const user = await newUser(server.app)
    const me = (authorization: string) => server.app.inject({ url: '/v1/me', headers: { authorization } })

    const property = fc.asyncProperty(attack, fc.boolean(), async (attack, minted) => {
      const good = minted ? mint.token() : user.token
      const line = lineOf(attack, good, mint)
      const answer = await me(line)
      const accepted = attack.way === 'signed' ? mayPass(attack, mint) : /^bearer +(.*)$/is.exec(line)?.[1] === good
      demandNone(complaints(answer, [good.slice(0, 60), ...(line.length > 60 ? [line.slice(20)] : [])]))
      demand(
        (answer.statusCode === 200) === accepted,
        `${answer.statusCode} for ${accepted ? 'a good' : 'a hostile'} token`,
      )
      if (accepted) return
      demand(
        answer.statusCode === 401 && CODES.includes(codeOf(answer) ?? ''),
        `${answer.statusCode} ${codeOf(answer)}`,
      )
      demand(/^Bearer\b/.test(String(answer.headers['www-authenticate'])), 'no challenge')
    })
    return {
      property: property as fc.IAsyncProperty<unknown>,
      async wellbeing() {
        for (const token of [user.token, mint.token()])
          demand(
            (await server.app.inject({ url: '/v1/me', headers: bearer(token) })).statusCode === 200,
            'a good token is refused',
          )
        await newUser(server.app)
      },
    }
  },
}

function lineOf(attack: Attack, good: string, mint: Mint): string {
  if (attack.way === 'signed') return `Bearer ${mint.token({ header: own(attack.header), claims: own(attack.claims) })}`
  if (attack.way === 'line') return edited(Buffer.from(`Bearer ${good}`), attack.edits).toString('latin1')
  if (attack.way === 'token') return `Bearer ${edited(Buffer.from(good), attack.edits).toString('latin1')}`
  const parts = good.split('.')
  if (attack.way === 'letter') {
    // Another last letter may decode to the same bytes.
    parts[attack.part] =
      `${parts[attack.part]?.slice(0, -1)}${BASE64URL[(attack.edits[0]?.at ?? 0) % BASE64URL.length]}`
    return `Bearer ${parts.join('.')}`
  }
  parts[attack.part] = edited(Buffer.from(parts[attack.part] ?? '', 'base64url'), attack.edits).toString('base64url')
  return `Bearer ${parts.join('.')}`
}

/**
 * The oracle: tells whether a token with these changes to a good header and good claims, signed by our key, must be
 * accepted.
 */
function mayPass({ header, claims }: Attack & { way: 'signed' }, mint: Mint): boolean {
  const { alg, kid, typ, ...rest } = JSON.parse(JSON.stringify({ ...mint.header, ...own(header) }))
  const fit = alg === 'RS256' && kid === mint.kid && Object.keys(rest).length === 0 && typeof typ === 'string'
  if (!fit || typ.toLowerCase().replace(/^application\//, '') !== ACCESS_TOKEN_TYPE) return false
  const all = JSON.parse(JSON.stringify({ ...mint.claims, ...own(claims) }))
  for (const name of REQUIRED_CLAIMS) if (!Object.hasOwn(all, name)) return false
  for (const [name, mayBe] of Object.entries(MAY_BE)) if (Object.hasOwn(all, name) && !mayBe(all[name])) return false
  const { iat, exp, nbf = 0 } = all
  const inTime =
    [iat, exp, nbf].every(count) && iat - NOW <= policy.skew && nbf - NOW <= policy.skew && NOW < exp + policy.skew
  return inTime && exp - iat >= 1 && exp - iat <= 900 && !Object.hasOwn(all, 'cnf')
}

/**
 * Copies members to a plain object: generated objects sometimes have no prototype, and the mint takes those for a
 * complete header or payload.
 */
const own = (members: Record<string, unknown>) => Object.fromEntries(Object.entries(members))

function isJson(value: unknown): boolean {
  try {
    return (
      JSON.stringify(value) !== undefined &&
      !(value instanceof Date) &&
      !Number.isNaN(value) &&
      Math.abs(Number(value)) !== Infinity
    )
  } catch {
    return false
  }
}
