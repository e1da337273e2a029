import * as options from '../../src/verifier/options.ts'
import { nodePlatform } from '../../src/verifier/platform/node-platform.ts'

/** The options of a verifier on Node. */
export const resolveOptions = (given: options.VerifierOptions) => options.resolveOptions(given, nodePlatform)
