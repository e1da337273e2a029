import type { Account } from '../../src/accounts/account.ts'
import type { Client } from '../../src/clients/client.ts'
import { toTimestamp } from '../../src/clock.ts'

/** A change that is in the log and not in the restored store. */
export interface LostChange {
  /** RFC 3339. */
  readonly at: string
  readonly event: string
  readonly id: string
  /** What is wrong now, in words. */
  readonly now: string
  /** What to do about it. */
  readonly remedy: string
}

export interface Lookups {
  account(id: string): Promise<Account | undefined>
  client(id: string): Promise<Client | undefined>
}

interface Logged {
  readonly event: string
  /** Epoch seconds. */
  readonly at: number
  readonly id: string
  readonly roles: readonly string[]
}

/** Of these events the last one of an account or client says how things should be. */
const STATES: Readonly<Record<string, 'status' | 'roles' | 'password' | 'secret' | 'existence'>> = {
  account_registered: 'existence',
  account_deleted: 'existence',
  account_suspended: 'status',
  account_activated: 'status',
  roles_changed: 'roles',
  password_changed: 'password',
  client_created: 'existence',
  client_deleted: 'existence',
  client_disabled: 'status',
  client_enabled: 'status',
  client_secret_rotated: 'secret',
}

/**
 * Compares the log lines of the servers with a restored store.
 *
 * @param lines JSON lines of the log, in any order; others are skipped. Of each account and client only the last change
 *   of a kind is kept, so a log of any length can be read
 * @param since epoch seconds: what was logged from then on may be missing in the store
 * @returns what went back, the oldest first, and how many lines of the audit trail were read
 */
export async function lostChanges(
  lines: Iterable<string> | AsyncIterable<string>,
  since: number,
  lookups: Lookups,
): Promise<{ lost: LostChange[]; read: number }> {
  const last = new Map<string, Logged>()
  let read = 0
  for await (const line of lines) {
    const logged = parsed(line)
    if (logged === undefined) continue
    read += 1
    const state = STATES[logged.event]
    if (state === undefined || logged.at < since) continue
    const known = last.get(`${state} ${logged.id}`)
    if (known === undefined || known.at <= logged.at) last.set(`${state} ${logged.id}`, logged)
  }
  const lost: LostChange[] = []
  for (const logged of [...last.values()].sort((one, other) => one.at - other.at)) {
    const { event, at, id } = logged
    const found = event.startsWith('client_')
      ? await clientChange(logged, lookups)
      : await accountChange(logged, lookups)
    if (found !== undefined) lost.push({ at: toTimestamp(at), event, id, now: found[0], remedy: found[1] })
  }
  return { lost, read }
}

/** An email as a word of a shell: characters that a shell would read are allowed in emails. */
const quoted = (text: string) => (/^[\w.@+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`)

type Difference = readonly [now: string, remedy: string] | undefined

async function accountChange({ event, id, roles }: Logged, { account }: Lookups): Promise<Difference> {
  const found = await account(id)
  if (found === undefined)
    return event === 'account_registered' ? ['the account is gone', 'its owner registers again'] : undefined
  const { email, status } = found
  const suspend = `npm run accounts -- suspend ${quoted(email)}`
  switch (event) {
    case 'account_deleted':
      return [`the deleted account ${email} is there again`, suspend]
    case 'account_suspended':
      return status === 'active' ? [`${email} is active again`, suspend] : undefined
    case 'account_activated':
      return status === 'suspended'
        ? [`${email} is suspended again`, `npm run accounts -- activate ${quoted(email)}`]
        : undefined
    case 'roles_changed': {
      if (JSON.stringify([...roles].sort()) === JSON.stringify([...found.roles].sort())) return undefined
      const options = roles.map((role) => ` --role ${quoted(role)}`).join('') || ' --none'
      return [`${email} has roles from before`, `npm run accounts -- set-roles ${quoted(email)}${options}`]
    }
    case 'password_changed':
      return [`the password from before works for ${email}`, `its owner changes it; until then: ${suspend}`]
    default:
      return undefined
  }
}

async function clientChange({ event, id }: Logged, { client }: Lookups): Promise<Difference> {
  const found = await client(id)
  if (found === undefined)
    return event === 'client_created' ? ['the client is gone', 'npm run clients -- create'] : undefined
  const { status } = found
  switch (event) {
    case 'client_deleted':
      return ['the deleted client is there again', `npm run clients -- delete ${id}`]
    case 'client_disabled':
      return status === 'active' ? ['it is enabled again', `npm run clients -- disable ${id}`] : undefined
    case 'client_enabled':
      return status === 'disabled' ? ['it is disabled again', `npm run clients -- enable ${id}`] : undefined
    case 'client_secret_rotated':
      return ['the secret from before works', `npm run clients -- rotate-secret ${id} --overlap 0s`]
    default:
      return undefined
  }
}

/** The event of a log line, if it is one that names an account or a client. */
function parsed(line: string): Logged | undefined {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { event, time, account_id, client_id, roles } = value as Record<string, unknown>
  if (typeof event !== 'string' || typeof time !== 'string') return undefined
  const at = Math.floor(Date.parse(time) / 1000)
  const id = event.startsWith('client_') ? client_id : account_id
  if (typeof id !== 'string' || !Number.isFinite(at)) return undefined
  return { event, at, id, roles: Array.isArray(roles) ? roles.filter((role) => typeof role === 'string') : [] }
}
