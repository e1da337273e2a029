import { createVerifier, TokenError } from 'fast-jwt'
import { AppError } from '../errors.ts'
import type { ClaimsPolicy } from '../tokens/claims.ts'
import { fastJwtOptions } from '../tokens/fast-jwt-options.ts'
import type { SignedPayload } from '../tokens/verify.ts'

/** Verifiers of keys that were seen lately; an issuer has three keys at a time. */
const MOST_KEYS = 16

/** Checks signature and pinned claims with fast-jwt, one verifier per key. */
export function createSignedPayload(policy: ClaimsPolicy): SignedPayload<unknown> {
  return signatureChecker((key) => createVerifier({ ...fastJwtOptions(policy), key }))
}

/** @returns a function that throws AppError `invalid_token` whatever is wrong with a token */
export function signatureChecker(make: (pem: string) => (token: string) => unknown): SignedPayload<unknown> {
  const verifiers = new Map<string, (token: string) => unknown>()
  return (token, pem) => {
    let verifier = verifiers.get(pem)
    if (verifier === undefined) {
      if (verifiers.size >= MOST_KEYS) verifiers.clear()
      verifier = make(pem)
      verifiers.set(pem, verifier)
    }
    try {
      return verifier(token)
    } catch (error) {
      if (!(error instanceof TokenError)) throw error
      throw new AppError('invalid_token', { reason: `${error.code}: ${error.message}`.slice(0, 200) })
    }
  }
}
