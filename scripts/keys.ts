import { systemClock, toTimestamp } from '../src/clock.ts'
import { loadConfig } from '../src/config.ts'
import { OperatorError } from '../src/errors.ts'
import { phase } from '../src/keys/keyring.ts'
import { type KeysFolder, readKeyring, readPassphrase } from '../src/keys/keyring-files.ts'
import { makeFirstKey } from '../src/keys/live-keyring.ts'
import { type Command, runScript, table, UsageError } from './command-line.ts'

const rotate: Command = {
  usage: '[--bits 2048|3072|4096]',
  summary: 'Make the first signing key of an empty keys folder.',
  options: { bits: { type: 'string', default: '2048' } },
  optionHelp: { '--bits <n>': 'modulus length: 2048 (default), 3072 or 4096' },
  examples: ['rotate', 'rotate --bits 3072 --json'],
  positionals: 0,
  async run({ options }) {
    const bits = String(options.bits)
    if (!['2048', '3072', '4096'].includes(bits)) throw new UsageError('--bits takes 2048, 3072 or 4096')
    const folder = await keysFolder()
    const kid = await makeFirstKey(folder, systemClock, Number(bits))
    if (kid === undefined) throw new OperatorError(`${folder.dir} has a key already`, { hint: 'npm run keys -- list' })
    return { json: { kid }, text: `made key ${kid} in ${folder.dir}; it signs from now on` }
  },
}

const list: Command = {
  usage: '',
  summary: 'List the signing keys and their phases.',
  examples: ['list', 'list --json'],
  positionals: 0,
  async run() {
    const now = systemClock()
    const keys = (await readKeyring(await keysFolder())).map((entry) => ({
      kid: entry.kid,
      phase: phase(entry, now),
      created_at: toTimestamp(entry.created_at),
      sign_from: toTimestamp(entry.sign_from),
    }))
    const rows = keys.map((key) => Object.values(key))
    return {
      json: keys,
      text: rows.length === 0 ? 'no keys yet' : table(['KID', 'PHASE', 'CREATED', 'SIGNS FROM'], rows),
    }
  },
}

await runScript('keys', { rotate, list })

async function keysFolder(): Promise<KeysFolder> {
  const config = loadConfig()
  return { dir: config.KEYS_DIR, passphrase: await readPassphrase(config.KEY_PASSPHRASE_FILE) }
}
