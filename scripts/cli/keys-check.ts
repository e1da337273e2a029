import { stat } from 'node:fs/promises'
import { OperatorError } from '../../src/errors/app-error.ts'
import { type KeyEntry, type Keyring, phase } from '../../src/keys/keyring.ts'
import { KeyFileError, type KeysFolder, namesIn } from '../../src/keys/keys-folder.ts'
import { readManifest } from '../../src/keys/manifest.ts'
import { privateKeyPath, readPrivateKey, storedKids } from '../../src/keys/private-keys.ts'
import { readRefreshKey, readRefreshKeys, refreshKeyFiles } from '../../src/keys/refresh-keys.ts'
import {
  brokenInvariants,
  signingKey,
  standbyKey,
  stoppedSigning,
  type Timing,
  unsafePlans,
  waitingKey,
} from '../../src/keys/rotation.ts'
import { fileFindings } from './keys-file-check.ts'

export interface Finding {
  readonly problem: string
  readonly mend: string
  /** A remark is no failure: it will be in order by itself, or could not be looked at. Default: a failure. */
  readonly severity?: 'remark'
}

export const isRemark = ({ severity }: Finding): boolean => severity === 'remark'

/** What the store says: the revoked keys, or why it can't be asked. */
export type StoredRevocations = { readonly kids: readonly string[] } | { readonly why: string }

/** How long a private half that signs no more may wait for the next daily run, which deletes it. */
const LEFTOVER_GRACE_SECONDS = 2 * 86_400

interface Yardstick {
  readonly now: number
  readonly timing: Timing
  readonly ttl: number
  /** Seconds for which a key may sign without a successor; undefined for any time. */
  readonly maxAge: number | undefined
  readonly revoked: StoredRevocations
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
  const findings: Finding[] = [
    // First: what the others advise is right for the newest copy of the folder only.
    ...(await outdatedFindings(folder, keyring, yardstick)),
    ...planFindings(keyring, yardstick),
    ...(await keyFindings(folder, keyring, yardstick.now)),
    ...(await leftoverFindings(folder, keyring, yardstick.now)),
    ...(await fileFindings(folder)),
  ]
  return [...findings.filter((finding) => !isRemark(finding)), ...findings.filter(isRemark)]
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
  const rotate = (problem: string) => findings.push({ problem, mend: 'npm run keys -- rotate' })
  if (current === undefined && waiting === undefined) rotate('no key signs: every login fails')
  else if (standbyKey(keyring, now) === undefined) {
    rotate('no published key stands by: after an emergency, other services could not verify new tokens for a while')
  }
  if (current && waiting === undefined && maxAge !== undefined && now - current.sign_from >= maxAge) {
    rotate(`${current.kid} signs for longer than --max-age allows, and no next key waits`)
  }
  return findings
}

/** Whether every key that is in use can be read and opened. */
async function keyFindings(folder: KeysFolder, keyring: Keyring, now: number): Promise<Finding[]> {
  const faults: { error: OperatorError; lost: string }[] = []
  for (const { kid } of keyring.filter((entry) => ['current', 'next', 'standby'].includes(phase(entry, now)))) {
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
    if (!stopped.includes(kid)) return []
    return [
      leftover(
        path,
        keyring.find((entry) => entry.kid === kid),
        now,
      ),
    ]
  })
}

function leftover(path: string, entry: KeyEntry | undefined, now: number): Finding {
  const { revoked_at = null, sign_until = null } = entry ?? {}
  const isFresh = revoked_at === null && sign_until !== null && now - sign_until < LEFTOVER_GRACE_SECONDS
  return {
    ...(isFresh && { severity: 'remark' as const }),
    problem: `${path} no longer signs, but was not deleted`,
    mend: isFresh ? 'nothing: the next `rotate` or `prune` deletes it' : 'npm run keys -- prune',
  }
}

/** Keys that the folder holds as if they were good, and the store knows as revoked. */
async function outdatedFindings(folder: KeysFolder, keyring: Keyring, { now, revoked }: Yardstick): Promise<Finding[]> {
  if ('why' in revoked) {
    const problem = `not compared with what the database remembers: ${revoked.why}`
    return [{ severity: 'remark', problem, mend: 'run check where DATABASE_URL names the database of the servers' }]
  }
  const finding = (kid: string, command: string): Finding => ({
    problem: `${kid} was revoked, and this folder holds it as if it were good: the folder is older than the revocation`,
    mend: `put the newest copy of the folder back, or npm run keys -- ${command} ${kid}`,
  })
  const signing = keyring.filter((entry) => !['revoked', 'retired'].includes(phase(entry, now)))
  const refresh = await readRefreshKeys(folder).catch(() => [])
  return [
    ...signing.filter(({ kid }) => revoked.kids.includes(kid)).map(({ kid }) => finding(kid, 'revoke')),
    ...refresh.filter(({ id }) => revoked.kids.includes(id)).map(({ id }) => finding(id, 'revoke-refresh')),
  ]
}
