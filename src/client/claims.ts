/**
 * The claims of the access token, for showing them (the roles decide which buttons are there). They are **not
 * verified**: whoever owns the browser can write anything there. Only the server decides.
 */
export interface Claims {
  readonly sub?: string
  readonly sid?: string
  /** Epoch seconds of the server's clock. */
  readonly iat?: number
  readonly exp?: number
  readonly auth_time?: number
  readonly scope?: string
  readonly roles?: readonly string[]
  readonly [claim: string]: unknown
}

/** Reads the middle part of a JWT without checking the signature. A token that has none gives no claims. */
export function claimsOf(accessToken: string): Claims {
  try {
    const part = (accessToken.split('.')[1] as string).replace(/[-_]/g, (char) => (char === '-' ? '+' : '/'))
    // `escape` makes UTF-8 of what `atob` gives, also where there is no TextDecoder: React Native.
    return JSON.parse(decodeURIComponent(escape(atob(part)))) ?? {}
  } catch {
    return {}
  }
}
