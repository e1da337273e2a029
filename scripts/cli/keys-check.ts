import { readFile, stat } from 'node:fs/promises'
import { OperatorError } from '../../src/errors/app-error.ts'
import { type Keyring, phase } from '../../src/keys/keyring.ts'
import type { KeysFolder } from '../../src/keys/keys-folder.ts'
import { readManifest } from '../../src/keys/manifest.ts'
import { privateKeyPath, readPrivateKey, storedKids } from '../../src/keys/private-keys.ts'
import { readRefreshKeys } from '../../src/keys/refresh-keys.ts'
import {
  brokenInvariants,
  signingKey,
  stoppedSigning,
  type Timing,
  unsafePlans,
  waitingKey,
} from '../../src/keys/rotation.ts'

export interface Finding {
  readonly problem: string
  readonly mend: string
}

interface Yardstick {
  readonly now: number
  readonly timing: Timing
  readonly ttl: number
  /** Seconds for which a key may sign without a successor; undefined for any time. */
  readonly maxAge: number | undefined
}

/** Finds everything that is wrong in a keys folder, and says how to fix it. */
export async function inspectKeys(folder: KeysFolder, yardstick: Yardstick): Promise<Finding[]> {
  let keyring: Keyring
  try {
    keyring = await readManifest(folder)
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error
    return [
      {
        problem: error.message,
        mend: 'restore keyring.json from a backup; the private keys alone do not say when each one signs',
      },
    ]
  }
  return [
    ...planFindings(keyring, yardstick),
    ...(await signerFindings(folder, keyring, yardstick.now)),
    ...(await refreshKeyFindings(folder)),
    ...(await fileFindings(folder, keyring, yardstick.now)),
  ]
}

function planFindings(keyring: Keyring, { now, timing, ttl, maxAge }: Yardstick): Finding[] {
  const findings: Finding[] = [
    ...brokenInvariants(keyring).map((problem) => ({
      problem,
      mend: 'restore keyring.json from a backup: no script writes such a file',
    })),
    ...unsafePlans(keyring, now, timing, ttl).map((problem) => ({
      problem,
      mend: 'go back to the old setting until that key signs',
    })),
  ]
  const current = signingKey(keyring, now)
  const waiting = waitingKey(keyring, now)
  if (current === undefined && waiting === undefined)
    findings.push({ problem: 'no key signs: every login fails', mend: 'npm run keys -- rotate' })
  if (current && current.sign_until !== null && waiting === undefined) {
    findings.push({ problem: `${current.kid} stops signing and no next key waits`, mend: 'npm run keys -- rotate' })
  }
  if (current && waiting === undefined && maxAge !== undefined && now - current.sign_from >= maxAge) {
    findings.push({
      problem: `${current.kid} signs for longer than --max-age allows, and no next key waits`,
      mend: 'npm run keys -- rotate',
    })
  }
  return findings
}

async function signerFindings(folder: KeysFolder, keyring: Keyring, now: number): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const { kid } of keyring.filter((entry) => ['current', 'next'].includes(phase(entry, now)))) {
    try {
      await readPrivateKey(folder, kid)
    } catch (error) {
      if (!(error instanceof OperatorError)) throw error
      findings.push({
        problem: error.message,
        mend: `restore ${kid}.pem from a backup, or take the key out: npm run keys -- revoke ${kid}`,
      })
    }
  }
  return findings
}

async function refreshKeyFindings(folder: KeysFolder): Promise<Finding[]> {
  try {
    const keys = await readRefreshKeys(folder)
    return keys.length > 0
      ? []
      : [{ problem: 'there is no refresh key: no server boots', mend: 'npm run keys -- rotate' }]
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error
    return [
      {
        problem: error.message,
        mend: 'restore it from a backup, or delete it: whoever holds a token made with it logs in again',
      },
    ]
  }
}

async function fileFindings(folder: KeysFolder, keyring: Keyring, now: number): Promise<Finding[]> {
  const findings: Finding[] = []
  const known = keyring.map(({ kid }) => kid)
  const stopped = stoppedSigning(keyring, now).map(({ kid }) => kid)
  for (const kid of await storedKids(folder)) {
    const path = privateKeyPath(folder, kid)
    const mode = (await stat(path)).mode & 0o777
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
      findings.push({
        problem: `${path} has mode ${mode.toString(8)}: others can read it`,
        mend: `chmod 600 ${path}, and think about who could have read it`,
      })
    }
    if (folder.passphrase !== undefined && (await readFile(path, 'utf8')).startsWith('-----BEGIN PRIVATE KEY')) {
      findings.push({
        problem: `${path} is not encrypted, although KEY_PASSPHRASE_FILE is set`,
        mend: 'npm run keys -- rotate; the new key is encrypted',
      })
    }
    if (!known.includes(kid))
      findings.push({ problem: `${path} belongs to no key of the keyring`, mend: 'npm run keys -- prune' })
    else if (stopped.includes(kid))
      findings.push({ problem: `${path} no longer signs, but was not deleted`, mend: 'npm run keys -- prune' })
  }
  return findings
}
