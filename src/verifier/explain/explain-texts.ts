import { REFUSALS, type Refusal } from '../../errors/refusals.ts'

/** What is about a request or a route. A token alone can't cause it. */
const NOT_OF_A_TOKEN = ['token_missing', 'token_repeated', 'auth_age', 'role', 'scope'] as const

export type TokenRefusal = Exclude<Refusal, (typeof NOT_OF_A_TOKEN)[number]>

/** The checks of a token, in the order in which the guard makes them. */
export const TOKEN_CHECKS = REFUSALS.filter((word): word is TokenRefusal => {
  return !(NOT_OF_A_TOKEN as readonly string[]).includes(word)
})

/** The checks that need the revocation feed. */
export const NEEDS_FEED: readonly TokenRefusal[] = [
  ...(['revoked_key', 'feed_stale', 'revoked_account', 'revoked_client'] as const),
  ...(['revoked_session', 'revoked_token', 'stale_version'] as const),
]

interface CheckText {
  /** What holds when the check is passed. */
  readonly holds: string
  /** What to do when it is not. */
  readonly advice: string
}

export const CHECK_TEXTS: Readonly<Record<TokenRefusal, CheckText>> = {
  malformed: {
    holds: 'it has the form of a token',
    advice: 'Copy the whole token, in one line. If a client sends it like this, it was cut or changed on the way.',
  },
  alg: {
    holds: 'the algorithm is RS256',
    advice: 'No Signet server makes such a token. It is of another system, or an attack.',
  },
  typ: {
    holds: 'it is an access token',
    advice: 'The client sends the wrong token, for example an ID token. It has to send the access token.',
  },
  keys_unavailable: {
    holds: 'the keys of the issuer are known',
    advice:
      'Make the issuer reachable from this machine, or give its keys with --jwks. The guard answers 503 until then.',
  },
  kid_unknown: {
    holds: 'the issuer has its key',
    advice: 'Is it a token of this issuer? If so, its key is retired: get a new token. A file of --jwks may be old.',
  },
  revoked_key: {
    holds: 'its key is not revoked',
    advice: 'Its key was revoked, and with it every token that it signed. The client refreshes, or logs in again.',
  },
  signature: {
    holds: 'the signature is that of the key',
    advice: 'The token was changed or cut after it was signed, or it is forged. Copy it again, or get a new one.',
  },
  claim: {
    holds: 'all claims are there, with the right types',
    advice: 'No Signet server writes such claims. Find out who signs with this key.',
  },
  issuer: {
    holds: 'the issuer is the one that you trust',
    advice:
      'If that is your server, write `issuer` exactly as `iss` says it. If not, the client uses the wrong server.',
  },
  audience: {
    holds: 'it is for this service',
    advice: 'The client has to ask for a token for this service, or `audience` has to name what `aud` says.',
  },
  proof_of_possession: {
    holds: 'it is a Bearer token, bound to no key',
    advice:
      'This guard can not check that the caller holds the key of `cnf`. The client has to ask for a Bearer token.',
  },
  not_yet_valid: {
    holds: 'its time has begun',
    advice: 'Compare the clocks: is NTP running on this machine and at the issuer? `clockSkew` bridges a few seconds.',
  },
  lifetime: {
    holds: 'it is short-lived',
    advice: 'Lower ACCESS_TOKEN_TTL at the issuer, or raise `maxLifetime` of the guard.',
  },
  expired: {
    holds: 'it is not over',
    advice: 'This is normal for an old token: the client refreshes. If new tokens are refused too, compare the clocks.',
  },
  feed_stale: {
    holds: 'the revocation feed was read',
    advice: 'Make the feed reachable from this machine.',
  },
  revoked_account: {
    holds: 'its account is not revoked',
    advice: 'The account was deleted. There is nothing to mend in the token.',
  },
  revoked_client: {
    holds: 'its client is not revoked',
    advice: 'The client was disabled, or everybody was logged out. Enable the client, or log in again.',
  },
  revoked_session: {
    holds: 'its session has not ended',
    advice: 'The person logged out or was logged out: a new password, a suspended account. The client logs in again.',
  },
  revoked_token: {
    holds: 'the token itself is not revoked',
    advice: 'Somebody revoked this very token. The client gets a new one.',
  },
  stale_version: {
    holds: 'the account is as it was',
    advice: 'Roles or status changed after the token was issued. The client refreshes once.',
  },
}
