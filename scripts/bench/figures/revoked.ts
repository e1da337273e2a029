import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { login, register } from '../client.ts'
import type { Bench, Contest, Figure } from '../figure.ts'
import { LoadProcess } from '../load-process.ts'
import { requestContest } from '../request-contest.ts'
import { makeHome, startSignet } from '../server-process.ts'

const REVOCATIONS = 1_000_000
const CONNECTIONS = 32

/** The same verified request with a million sessions withdrawn, beside one with none. */
export const revoked: Figure = {
  name: 'revoked',
  title: `GET /v1/me, ${REVOCATIONS.toLocaleString('en')} revocations`,
  unit: 'requests/s',
  limit: 'Signet with none',
  better: 'more',
  async prepare(bench, cleanup): Promise<Contest> {
    const pinned = { core: bench.cores?.server }
    const full = await startSignet(bench, await homeWithRevocations(bench), pinned)
    cleanup.use(full.child)
    const empty = await startSignet(bench, await makeHome(bench), pinned)
    cleanup.use(empty.child)
    const load = cleanup.use(new LoadProcess(bench.cores?.load))

    const tokens = new Map<string, string>()
    for (const { origin } of [full, empty]) tokens.set(origin, await login(origin, await register(origin)))
    const contest = requestContest(load, { signet: full, bare: empty }, ({ origin }) => ({
      url: `${origin}/v1/me`,
      method: 'GET',
      headers: { authorization: `Bearer ${tokens.get(origin)}` },
      connections: CONNECTIONS,
      seconds: bench.seconds,
    }))
    const memory = full.child.residentMemory() - empty.child.residentMemory()
    const perEntry = Math.round((memory * 2 ** 20) / REVOCATIONS)
    return {
      ...contest,
      notes: () => [
        ...(contest.notes?.() ?? []),
        `${Math.round(memory)} MiB more memory, ${perEntry} bytes an entry; boot took ${Math.round(full.bootTime)} ms`,
      ],
    }
  },
}

async function homeWithRevocations(bench: Bench): Promise<string> {
  const home = await makeHome(bench)
  const once = await startSignet(bench, home) // makes the tables
  await once.child.stop()
  const db = new DatabaseSync(join(home, 'signet.db'))
  db.exec('BEGIN')
  const insert = db.prepare(
    "INSERT INTO revocations (kind, subject, min_version, seq, expires_at) VALUES ('session', ?, NULL, ?, 9000000000)",
  )
  for (let seq = 1; seq <= REVOCATIONS; seq += 1) insert.run(`session-number-${String(seq).padStart(7, '0')}`, seq)
  db.exec(`UPDATE revocation_head SET seq = ${REVOCATIONS}; COMMIT`)
  db.close()
  return home
}
