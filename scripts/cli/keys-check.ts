import { stat } from 'node:fs/promises'
import { OperatorError } from '../../src/errors/app-error.ts'
import { type Keyring, phase } from '../../src/keys/keyring.ts'
import { KeyFileError, type KeysFolder, namesIn } from '../../src/keys/keys-folder.ts'
import { readManifest } from '../../src/keys/manifest.ts'
import { privateKeyPath, readPrivateKey, storedKids } from '../../src/keys/private-keys.ts'
import { readRefreshKey, refreshKeyFiles } from '../../src/keys/refresh-keys.ts'
import {
  brokenInvariants,
  signingKey,
  stoppedSigning,
  type Timing,
  unsafePlans,
  waitingKey,
} from '../../src/keys/rotation.ts'
import { fileFindings } from './keys-file-check.ts'

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
    await namesIn(folder)
    keyring = await readManifest(folder)
  } catch (error) {
    const lost = 'restore keyring.json from a backup; the private keys alone do not say when each one signs'
    return [await findingOf(folder, faultOf(error), lost)]
  }
  return [
    ...planFindings(keyring, yardstick),
    ...(await keyFindings(folder, keyring, yardstick.now)),
    ...(await leftoverFindings(folder, keyring, yardstick.now)),
    ...(await fileFindings(folder)),
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

/** Whether every key that is in use can be read and opened. */
async function keyFindings(folder: KeysFolder, keyring: Keyring, now: number): Promise<Finding[]> {
  const faults: { error: OperatorError; lost: string }[] = []
  for (const { kid } of keyring.filter((entry) => ['current', 'next'].includes(phase(entry, now)))) {
    const lost = `restore ${kid}.pem from a backup, or take the key out: npm run keys -- revoke ${kid}`
    await readPrivateKey(folder, kid).catch((error) => faults.push({ error: faultOf(error), lost }))
  }
  const files = await refreshKeyFiles(folder)
  for (const { path } of files) {
    const lost = 'restore it from a backup, or delete it: whoever holds a token made with it logs in again'
    await readRefreshKey(path, folder.passphrase).catch((error) => faults.push({ error: faultOf(error), lost }))
  }
  const findings: Finding[] = []
  if (files.length === 0)
    findings.push({ problem: 'there is no refresh key: no server boots', mend: 'npm run keys -- rotate' })
  // Not one line for each key where one cause explains all of them.
  for (const fault of ['unreadable', 'passphrase'] as const) {
    const [first, ...others] = faults.filter(({ error }) => error instanceof KeyFileError && error.fault === fault)
    if (first === undefined) continue
    const finding = await findingOf(folder, first.error, first.lost)
    const more = others.length === 0 ? '' : ` (and ${others.length} more of the keys)`
    findings.push({ ...finding, problem: `${finding.problem}${more}` })
  }
  for (const { error, lost } of faults) if (!isOfThisRun(error)) findings.push({ problem: error.message, mend: lost })
  return findings
}

function faultOf(error: unknown): OperatorError {
  if (error instanceof OperatorError) return error
  throw error
}

/** True when the fault may be how this command was run: nothing is known about the keys themselves. */
function isOfThisRun(error: OperatorError): error is KeyFileError {
  return error instanceof KeyFileError && ['unreadable', 'passphrase'].includes(error.fault)
}

async function findingOf(folder: KeysFolder, error: OperatorError, lost: string): Promise<Finding> {
  const { message: problem } = error
  if (!isOfThisRun(error)) return { problem, mend: lost }
  if (error.fault === 'passphrase') {
    const set = folder.passphrase !== undefined
    const restore = set ? '; if it names the right one, restore the file from a backup' : ''
    return { problem, mend: `KEY_PASSPHRASE_FILE must name the file with the passphrase of the server${restore}` }
  }
  const kubernetes = 'in Kubernetes: fsGroup in the securityContext of the pod'
  const owner = await stat(folder.dir).catch(() => undefined)
  // A server that is not root reads a folder of root by its group, or not at all.
  if (owner?.uid === 0) return { problem, mend: `let the user of the server read the folder (${kubernetes})` }
  const user = `the user of the server${owner === undefined ? '' : ` (the folder is user ${owner.uid}'s)`}`
  const otherwise = `if you are that user, the server can't read it either: give it the right (${kubernetes})`
  return { problem, mend: `run this as ${user}; ${otherwise}` }
}

async function leftoverFindings(folder: KeysFolder, keyring: Keyring, now: number): Promise<Finding[]> {
  const known = keyring.map(({ kid }) => kid)
  const stopped = stoppedSigning(keyring, now).map(({ kid }) => kid)
  return (await storedKids(folder)).flatMap((kid) => {
    const path = privateKeyPath(folder, kid)
    const mend = 'npm run keys -- prune'
    if (!known.includes(kid)) return [{ problem: `${path} belongs to no key of the keyring`, mend }]
    return stopped.includes(kid) ? [{ problem: `${path} no longer signs, but was not deleted`, mend }] : []
  })
}
