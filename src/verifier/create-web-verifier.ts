import type { VerifierOptions } from './options.ts'
import { webPlatform } from './platform/web-platform.ts'
import { makeVerifier, type Verifier } from './verifier.ts'

/**
 * The same as `createVerifier` of Node, for runtimes without node:crypto: `verifyNow` returns a promise for new tokens.
 */
export const createVerifier = (options: VerifierOptions): Verifier => makeVerifier(options, webPlatform)
