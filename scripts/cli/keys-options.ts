import { type Config, loadConfig } from '../../src/config/config.ts'
import { OperatorError } from '../../src/errors/app-error.ts'
import type { KeysFolder } from '../../src/keys/keys-folder.ts'
import { giveLockToOwner } from '../../src/keys/keys-lock.ts'
import { readPassphrase } from '../../src/keys/passphrase.ts'
import type { Bits } from '../../src/keys/private-keys.ts'
import { defaultLead, keyTiming, minimumLead, RELOAD_INTERVAL_SECONDS, shortestLead } from '../../src/keys/rotation.ts'
import { actAsOwner } from './act-as-owner.ts'
import { type Input, parseDuration, UsageError } from './command-line.ts'

export const bits = { type: 'string', default: '2048' } as const
export const bitsHelp = { '--bits <n>': 'size of a key that this run makes: 2048 (default), 3072 or 4096' }

/** The settings of this environment, and the keys folder that they name. From here on root acts as its owner. */
export async function setting(): Promise<{ config: Config; folder: KeysFolder }> {
  const config = loadConfig()
  const folder = { dir: config.KEYS_DIR, passphrase: await readPassphrase(config.KEY_PASSPHRASE_FILE) }
  if (process.geteuid?.() === 0) await giveLockToOwner(folder)
  await actAsOwner('KEYS_DIR', folder.dir)
  return { config, folder }
}

/** @throws UsageError for a size that is not offered */
export function bitsOf({ bits }: Input['options']): Bits {
  const found = ([2048, 3072, 4096] as const).find((size) => String(size) === bits)
  if (found === undefined) throw new UsageError('--bits takes 2048, 3072 or 4096')
  return found
}

export interface Lead {
  /** Seconds until the first signature. */
  readonly lead: number
  /** @throws OperatorError when that is too soon for a key that has been in the JWKS for so many seconds */
  readonly assertLead: (publishedFor: number) => void
}

/**
 * When the next key begins to sign.
 *
 * @throws UsageError when both --lead and --now are given
 */
export function leadOf(options: Input['options'], config: Config): Lead {
  if (options.now === true && options.lead !== undefined) throw new UsageError('give either --lead or --now')
  if (options.now === true) return { lead: 0, assertLead: () => undefined }
  const timing = keyTiming(config)
  const given = options.lead
  if (typeof given !== 'string') return { lead: defaultLead(timing), assertLead: () => undefined }
  const lead = parseDuration('lead', given)
  return {
    lead,
    assertLead(publishedFor) {
      const shortest = shortestLead(publishedFor, timing)
      if (lead >= shortest) return
      const { JWKS_MAX_AGE: maxAge, CLOCK_SKEW: skew } = config
      const sum = `JWKS_MAX_AGE ${maxAge} + reload ${RELOAD_INTERVAL_SECONDS} + CLOCK_SKEW ${skew}`
      const earlier = shortest < minimumLead(timing) ? `, less what the standby key has been published for` : ''
      throw new OperatorError(`--lead ${given} is below the safe minimum of ${shortest}s (${sum}${earlier})`, {
        hint: 'a verifier could meet a token whose key is not in the JWKS it has cached; --now does that on purpose',
      })
    },
  }
}
