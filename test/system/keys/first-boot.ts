import { systemClock } from '../../../src/clock.ts'
import { makeFirstKey } from '../../../src/keys/change-keyring.ts'

// What a boot does before anything else, as a program: crash.test.ts kills it.

await makeFirstKey({ dir: String(process.env.KEYS_DIR), passphrase: undefined }, systemClock)
