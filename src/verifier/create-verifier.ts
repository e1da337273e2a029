import type { VerifierOptions } from './options.ts'
import { nodePlatform } from './platform/node-platform.ts'
import { makeVerifier, type Verifier } from './verifier.ts'

/**
 * Verifies Signet's access tokens in another service, with the guard of the server itself. Nothing is asked and no
 * timer runs before the first use. From then on keys, and with `revocations` the feed, are looked at in the background,
 * and that does not keep the process alive.
 *
 * @throws TypeError for options that are wrong, or that would switch a check off without saying `null`
 */
export const createVerifier = (options: VerifierOptions): Verifier => makeVerifier(options, nodePlatform)
