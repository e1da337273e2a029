import { nodePlatform } from '../../src/verifier/node-platform.ts'
import * as options from '../../src/verifier/options.ts'

/** The options of a verifier on Node. */
export const resolveOptions = (given: options.VerifierOptions) => options.resolveOptions(given, nodePlatform)
