import type { VerifySignature } from '../../tokens/verify.ts'

/** What differs between Node and runtimes that have only Web standards. The checks and their order do not. */
export interface Platform {
  /** Makes a function that verifies signatures and remembers keys. It returns a promise where only Web Crypto is. */
  readonly createSignature: () => VerifySignature
  /**
   * The public key of these members, whose spelling was checked.
   *
   * @returns its RFC 7638 thumbprint, and the key as SPKI PEM
   * @throws Error for a key that can't be used safely
   */
  readonly readKey: (members: RsaMembers) => PublicKey | Promise<PublicKey>
  /** The same `fetch`, whose requests do not keep the process alive, where that can be said. */
  readonly inBackground: (fetch: typeof globalThis.fetch) => typeof globalThis.fetch
  /** The same promise, for what a caller waits for: until it is settled the process stays alive. */
  readonly waitedFor: <T>(promise: Promise<T>) => Promise<T>
  /** Tells the developer about an option that is dangerous. */
  readonly warn: (message: string, code: string) => void
}

/** The members of a JWK that make an RSA public key (RFC 7518 section 6.3.1). */
export interface RsaMembers {
  readonly kty: 'RSA'
  /** Canonical base64url, without leading zeros. */
  readonly n: string
  readonly e: 'AQAB'
}

export interface PublicKey {
  readonly kid: string
  readonly pem: string
}
