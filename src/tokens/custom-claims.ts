/**
 * Claims that only you know. Declare them here, and `AccessTokenClaims` has them:
 *
 *     declare module 'signet-verifier' { interface CustomClaims { tenant?: string } }
 */
// biome-ignore lint/suspicious/noEmptyInterface: it is there to be extended by users of the package
export interface CustomClaims {}
