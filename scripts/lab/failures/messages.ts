import { setTimeout as sleep } from 'node:timers/promises'
import { loadConfig } from '../../../src/config/config.ts'
import type { Database } from '../../../src/db/database.ts'
import { openDatabase } from '../../../src/db/open.ts'
import { type SmtpServer, startSmtp } from '../../../test/support/smtp-server.ts'
import { type Failure, Faults, type Outcome, type Run } from './failure.ts'
import { checkIntegrity } from './kill.ts'
import { type Env, kill, type Node, newService, startNode, terminate } from './node.ts'
import { post, register } from './people.ts'

const PEOPLE = 4
/** Milliseconds of messages before a kill: the minimum, and how much random time is added at most. */
const STORM = [300, 500] as const
const ASK_PAUSE_MS = 25
/** How long the mail server takes for a message, at most: kills come in the middle of deliveries. */
const SLOWEST_MAIL_MS = 40
/** The claims of the last server that was killed run out after about a minute; then there is one more attempt. */
const SETTLE_WITHIN_MS = 240_000

/** What people asked for: messages that were acknowledged, and how many requests there were at most. */
interface Asked {
  acknowledged: number
  sent: number
}

/** The server is killed again and again while people ask for messages and it delivers them. */
export const messagesFailure: Failure = {
  title: 'kill -9 while messages are caused, composed and delivered by SMTP, on both stores',
  async run(run) {
    const sqlite = await killTheSender(run, {}, 'SQLite')
    const { create } = await run.postgres()
    const postgres = await killTheSender(run, { DATABASE_URL: await create() }, 'PostgreSQL')
    return {
      figures: `${sqlite.figures}; ${postgres.figures}`,
      faults: [...sqlite.faults, ...postgres.faults],
    }
  },
}

async function killTheSender(run: Run, settings: Env, name: string): Promise<Outcome> {
  const ends: (() => unknown)[] = []
  const smtp = await startSmtp(
    { teardown: (end: () => unknown) => void ends.push(end) },
    { gate: () => sleep(Math.random() * SLOWEST_MAIL_MS) },
  )
  const env = await newService(run, { ...settings, MAIL_URL: `smtp://127.0.0.1:${smtp.port}` })
  const asked = new Map<string, Asked>()
  let node = await startNode(env)
  for (let i = 0; i < PEOPLE; i += 1) {
    const email = `person-${i}@example.com`
    await register(node.origin, email)
    asked.set(email, { acknowledged: 0, sent: 0 })
  }
  for (let turn = 0; turn < run.times; turn += 1) {
    await storm(node, asked)
    node = await startNode(env)
  }
  const faults = new Faults()
  const database = await openDatabase(loadConfig({ env: { DATABASE_URL: env.DATABASE_URL } }))
  await settled(database, faults)
  const rows = await database.query('SELECT id, state FROM outbox')
  const { code } = await terminate(node)
  faults.expect(code === 0, `exit code ${code} at the end`)
  await database.close()
  for (const end of ends) await end()
  if (settings.DATABASE_URL === undefined) checkIntegrity(String(env.DATABASE_URL), faults)
  for (const { state } of rows) faults.expect(state === 'sent', `a message is ${state}`)
  const { messages, copies } = judge(smtp, asked, faults)
  faults.expect(messages === rows.length, `${rows.length} messages in the outbox, ${messages} arrived`)
  const acknowledged = [...asked.values()].reduce((sum, one) => sum + one.acknowledged, 0)
  const figures =
    `${name}: ${run.times} kills, ${acknowledged} messages acknowledged, ${rows.length} written, ${messages} arrived, ` +
    `${copies} of them more than once, each time the same`
  return { figures, faults: faults.list().map((fault) => `${name}: ${fault}`) }
}

/** People ask for messages, until the server is killed in the middle. */
async function storm(node: Node, asked: ReadonlyMap<string, Asked>): Promise<void> {
  const asking = [...asked].map(async ([email, count]) => {
    for (;;) {
      count.sent += 1
      const { status } = await post(`${node.origin}/v1/recovery`, { email })
      if (status !== 202) return
      count.acknowledged += 1
      await sleep(ASK_PAUSE_MS)
    }
  })
  await sleep(STORM[0] + Math.random() * STORM[1])
  await kill(node)
  await Promise.all(asking)
}

async function settled(database: Database, faults: Faults): Promise<void> {
  const started = performance.now()
  const waiting = "SELECT id FROM outbox WHERE state IN ('caused', 'composed') LIMIT 1"
  while ((await database.query(waiting)).length > 0) {
    if (performance.now() - started > SETTLE_WITHIN_MS) return faults.add('messages still wait at the end')
    await sleep(250)
  }
}

/** Every message that was acknowledged arrived, and copies of one are the same, byte for byte. */
function judge(smtp: SmtpServer, asked: ReadonlyMap<string, Asked>, faults: Faults) {
  const byId = new Map<string, { to: string; texts: string[] }>()
  for (const raw of smtp.raw) {
    const header = (name: string) => new RegExp(`^${name}: <?([^\\r>]+)`, 'm').exec(raw)?.[1] ?? ''
    const id = header('Message-ID')
    const known = byId.get(id)
    if (known === undefined) byId.set(id, { to: header('To'), texts: [raw] })
    else known.texts.push(raw)
  }
  for (const { texts } of byId.values())
    faults.expect(new Set(texts).size === 1, 'two messages with one Message-ID are not the same')
  for (const [email, { acknowledged, sent }] of asked) {
    const arrived = [...byId.values()].filter(({ to }) => to === email).length
    faults.expect(arrived >= acknowledged, `${email}: ${acknowledged} acknowledged, ${arrived} arrived`)
    faults.expect(arrived <= sent, `${email}: asked ${sent} times, ${arrived} arrived`)
  }
  return { messages: byId.size, copies: [...byId.values()].filter(({ texts }) => texts.length > 1).length }
}
