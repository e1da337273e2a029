import { readFile } from 'node:fs/promises'
import { systemClock } from '../src/clock.ts'
import { OperatorError } from '../src/errors/app-error.ts'
import { pruneKeys, revokeKey, rotateKeys } from '../src/keys/change-keyring.ts'
import { readManifest } from '../src/keys/manifest.ts'
import { readPassphraseLine } from '../src/keys/passphrase.ts'
import { openPrivateKey, storedKids } from '../src/keys/private-keys.ts'
import { pruneRefreshKeys, readRefreshKeys, revokeRefreshKey, rotateRefreshKey } from '../src/keys/refresh-keys.ts'
import { keyTiming, RELOAD_INTERVAL_SECONDS } from '../src/keys/rotation.ts'
import { assertSoundKey } from '../src/keys/sound-key.ts'
import { type Command, parseDuration, runScript } from './cli/command-line.ts'
import { inspectKeys } from './cli/keys-check.ts'
import { bits, bitsHelp, bitsOf, leadOf, setting } from './cli/keys-options.ts'
import * as report from './cli/keys-report.ts'
import { revokedInStore } from './cli/revoked-in-store.ts'

const now = systemClock

const rotate: Command = {
  usage: '[--lead <duration> | --now] [--if-older-than <duration>] [--bits <n>]',
  summary:
    'Give the standby key its date, and publish a new standby key. ' +
    'Running servers switch to it by themselves; repeating the command is harmless.',
  options: { lead: { type: 'string' }, now: { type: 'boolean' }, 'if-older-than': { type: 'string' }, bits },
  optionHelp: {
    '--lead <duration>': 'time until the next key signs (default 15m); short ones only for a key that caches have',
    '--now':
      'sign with it at once. If it was published just now, verifiers refuse its tokens until they fetch the JWKS again',
    '--if-older-than <duration>': 'do nothing when the current key has signed for less than this (for cron)',
    ...bitsHelp,
  },
  examples: ['rotate', 'rotate --if-older-than 30d', 'rotate --lead 1h --bits 3072 --json', 'rotate --now'],
  positionals: 0,
  async run({ options }) {
    const { config, folder } = await setting()
    const ifOlderThan = options['if-older-than']
    const outcome = await rotateKeys(folder, {
      now,
      ...leadOf(options, config),
      bits: bitsOf(options),
      ifOlderThan: typeof ifOlderThan === 'string' ? parseDuration('if-older-than', ifOlderThan) : undefined,
    })
    return report.describeChange(outcome, config, now())
  },
}

const importKey: Command = {
  usage: '<pem> [--passphrase-file <file>] [--lead <duration> | --now]',
  summary: 'Plan an existing RSA private key (PEM) as the next signing key. The file is copied, and left where it is.',
  options: { 'passphrase-file': { type: 'string' }, lead: { type: 'string' }, now: { type: 'boolean' } },
  optionHelp: {
    '--passphrase-file <file>': 'its first line opens the PEM (default: KEY_PASSPHRASE_FILE)',
    '--lead <duration>': 'time between publishing the key and signing with it (default 15m)',
    '--now': 'sign with it at once: verifiers with a cached JWKS will refuse tokens until they fetch it again',
  },
  examples: ['import ./old-service.pem', 'import ./old-service.pem --passphrase-file ./old-service.pass --lead 1h'],
  positionals: 1,
  async run({ positionals: [path = ''], options }) {
    const pem = await readFile(path).catch((cause) => {
      throw new OperatorError(`can't read ${path}: ${cause.code}`, { cause })
    })
    const file = options['passphrase-file']
    const own = typeof file === 'string' ? await readPassphraseLine('--passphrase-file', file) : undefined
    const { config, folder } = await setting()
    const key = await openPrivateKey(pem, path, own ?? folder.passphrase, IMPORT_HINTS)
    assertSoundKey(key)
    const outcome = await rotateKeys(folder, { now, ...leadOf(options, config), bits: 2048, key })
    if (outcome.planned === undefined)
      throw new OperatorError(`key ${outcome.entry.kid} waits already`, { hint: 'npm run keys -- list' })
    return report.describeChange(outcome, config, now())
  },
}

const IMPORT_HINTS = {
  passphrase: '--passphrase-file names the file with its passphrase (default: KEY_PASSPHRASE_FILE)',
  damaged: 'an RSA private key in PEM is needed: openssl rsa -in key -out key.pem makes one of most forms',
}

const revoke: Command = {
  usage: '<kid> [--unpublished-successor] [--no-successor [--force]] [--bits <n>]',
  summary:
    'Revoke a leaked key on every server. ' +
    'Tokens it signed are refused; clients that hold one refresh it or log in again.',
  options: {
    'unpublished-successor': { type: 'boolean' },
    'no-successor': { type: 'boolean' },
    force: { type: 'boolean' },
    bits,
  },
  optionHelp: {
    '--unpublished-successor': 'when no published key waits: let a new key sign at once that no cache has',
    '--no-successor': 'make no new key, neither in its place nor as the next standby key',
    '--force': 'revoke it even when no signing key is left and every login fails',
    ...bitsHelp,
  },
  examples: ['revoke SSFBk3jaikTXH4N2v7ExyvHf48XOGKEOPPj6zODGWGg'],
  positionals: 1,
  id: /^[\w-]{43}$/,
  async run({ positionals: [kid = ''], options }) {
    const { config, folder } = await setting()
    const outcome = await revokeKey(folder, kid, {
      now,
      bits: bitsOf(options),
      successor: options['no-successor'] !== true,
      unpublishedSuccessor: options['unpublished-successor'] === true,
      force: options.force === true,
    })
    return report.describeRevocation(kid, outcome, config, now())
  },
}

const rotateRefresh: Command = {
  usage: '',
  summary: 'Make the next key of refresh tokens. Nobody is logged out: older ones stay good for their sessions.',
  examples: ['rotate-refresh', 'rotate-refresh --json'],
  positionals: 0,
  async run() {
    const { folder } = await setting()
    const made = await rotateRefreshKey(folder, now)
    if (made === undefined)
      return { json: { made: null }, text: 'nothing to do: the next refresh key is made already, and not yet in use' }
    const when =
      made.signFrom > now()
        ? `in use ${report.at(made.signFrom, now()).both}, when every server has read it`
        : 'in use from now on'
    return {
      json: { made: made.id, sign_from: report.at(made.signFrom).absolute },
      text: `made refresh key ${made.id}: ${when}`,
    }
  },
}

const listRefresh: Command = {
  usage: '',
  summary: 'List the keys of refresh tokens. All are accepted; the current one makes new tokens.',
  examples: ['list-refresh', 'list-refresh --json'],
  positionals: 0,
  async run() {
    const rows = report.refreshKeyRows(await readRefreshKeys((await setting()).folder), now())
    return {
      json: rows,
      text: rows.length === 0 ? 'no keys yet: npm run keys -- rotate' : report.refreshKeyTable(rows, now()),
    }
  },
}

const revokeRefresh: Command = {
  usage: '<id>',
  summary: 'Revoke a leaked refresh key: everybody who holds a refresh token made with it has to log in again.',
  examples: ['revoke-refresh 8T55BqS3XgI'],
  positionals: 1,
  id: /^[\w-]{11}$/,
  async run({ positionals: [id = ''] }) {
    const { folder } = await setting()
    if (!(await revokeRefreshKey(folder, id, now))) {
      throw new OperatorError(`there is no refresh key ${JSON.stringify(id.slice(0, 40))}`, {
        hint: 'npm run keys -- list-refresh',
      })
    }
    return {
      json: { revoked: id },
      text: `revoked refresh key ${id}: within ${RELOAD_INTERVAL_SECONDS} s no server accepts a token made with it`,
    }
  },
}

const list: Command = {
  usage: '',
  summary: 'List the signing keys, their phases and what comes next.',
  examples: ['list', 'list --json'],
  positionals: 0,
  async run() {
    const { folder } = await setting()
    const stored = await storedKids(folder)
    const rows = (await readManifest(folder)).map((entry) => report.keyRow(entry, now(), stored.includes(entry.kid)))
    return {
      json: rows,
      text: rows.length === 0 ? 'no keys yet: npm run keys -- rotate' : report.keyTable(rows, now()),
    }
  },
}

const prune: Command = {
  usage: '',
  summary:
    'Delete what is no longer used: keys without valid tokens, private keys that no longer sign, unfinished files.',
  examples: ['prune', 'prune --json'],
  positionals: 0,
  async run() {
    const { config, folder } = await setting()
    const { tidied } = await pruneKeys(folder, now)
    const refreshKeys = await pruneRefreshKeys(folder, now, config.SESSION_MAX_TTL)
    const lines = [
      ...report.describeTidied(tidied),
      ...refreshKeys.map((id) => `deleted refresh key ${id}: its last session has ended`),
    ]
    return { json: { ...tidied, refreshKeys }, text: lines.length === 0 ? 'nothing to prune' : lines.join('\n') }
  },
}

const check: Command = {
  usage: '[--max-age <duration>]',
  summary:
    'Find everything that is wrong in the keys folder and say how to fix it. Exit code 1 when something is wrong.',
  options: { 'max-age': { type: 'string' } },
  optionHelp: {
    '--max-age <duration>': 'also report a current key that has signed for longer while no next key waits',
  },
  examples: ['check', 'check --max-age 45d --json'],
  positionals: 0,
  async run({ options }) {
    const { config, folder } = await setting()
    const given = options['max-age']
    const maxAge = typeof given === 'string' ? parseDuration('max-age', given) : undefined
    const problems = await inspectKeys(folder, {
      now: now(),
      timing: keyTiming(config),
      ttl: config.ACCESS_TOKEN_TTL,
      maxAge,
      revoked: await revokedInStore(config),
    })
    return report.describeFindings(problems, folder)
  },
}

await runScript('keys', {
  list,
  rotate,
  revoke,
  prune,
  check,
  import: importKey,
  'list-refresh': listRefresh,
  'rotate-refresh': rotateRefresh,
  'revoke-refresh': revokeRefresh,
})
