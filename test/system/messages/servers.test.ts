import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { openNode } from '../../support/engines.ts'
import { freePort } from '../../support/free-port.ts'
import { writeLetters } from '../../support/outbox.ts'
import { postgresUrl } from '../../support/postgres.ts'
import { giveKeys, login, register, said, sharedSettings, startServer, stopped } from '../../support/service.ts'
import { startSmtp } from '../../support/smtp-server.ts'

// Two servers on one PostgreSQL, one of them with two workers: both send what stands in one outbox. `npm run failures
// --
// --only messages` is the long form of the kill.

const port = await freePort()
const url = await postgresUrl(t)
const MAIL_URL = `smtp://user:s3cr3t-of-mail@localhost:${port}`
const settings = { DATABASE_URL: url, MAIL_URL, NOTICES: 'none', WORKERS: '1' } // each message is one of the test
const env = await sharedSettings(t, settings)
const KEYS_DIR = String(env.KEYS_DIR)
await giveKeys(KEYS_DIR)
const alone = await startServer(t, env)
const workers = await startServer(t, { ...env, WORKERS: '2' })
const database = await openNode(t, url)
const write = (count: number) => writeLetters(database, KEYS_DIR, count)
const states = async (ids: string[]) => {
  const rows = await database.query('SELECT id, state, attempts, last_error FROM outbox')
  return rows.filter(({ id }) => ids.includes(String(id)))
}
async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await pause(50)
}
const allSent = (ids: string[]) => until(async () => (await states(ids)).every(({ state }) => state === 'sent'))

t.test('without a mail server everybody logs in as before, and what waits leaves when it is back', async (t) => {
  const ids = await write(1)
  await until(async () => (await states(ids)).every(({ attempts }) => Number(attempts) > 0))
  await register(alone, 'ada@example.com')
  t.ok(await login(workers, 'ada@example.com'))
  t.match(await states(ids), [{ state: 'composed', last_error: /ECONNREFUSED/ }])
})

let gate: PromiseLike<void> | undefined
let inHand = 0
let open = () => undefined as unknown
/** Holds back the answer to what arrives from now on. */
function closeGate(): void {
  const { promise, resolve } = Promise.withResolvers<void>()
  gate = promise
  inHand = 0
  open = () => resolve()
}
/** The mail server comes after a while, and stays for all tests. */
const startMail = () =>
  startSmtp(t, {
    port,
    allowInsecureAuth: true,
    onAuth: (_auth, _session, done) => done(null, { user: 'user' }),
    async gate() {
      inHand += 1
      await gate
    },
  })
let smtp: Awaited<ReturnType<typeof startMail>>
const copies = (id: string) => smtp.raw.filter((mail) => mail.includes(`Message-ID: <${id}@signet.test>`))

t.test('two servers share one outbox, and nothing leaves twice', async (t) => {
  smtp = await startMail()
  await database.query('UPDATE outbox SET next_attempt_at = 0') // half a minute passes
  await allSent((await database.query('SELECT id FROM outbox')).map(({ id }) => String(id)))
  const ids: string[] = []
  // Each of them has to find out that the mail server is back.
  const bothSend = () => [alone, workers].every((server) => server.output().includes('"message sent"'))
  while (ids.length < 30 || !bothSend()) {
    const more = await write(6)
    await allSent(more)
    ids.push(...more)
  }
  for (const id of ids) t.equal(copies(id).length, 1)
})

t.test('a server that is killed in the middle of deliveries loses nothing, and copies are the same', async (t) => {
  closeGate()
  const ids = await write(12)
  await until(async () => inHand === 10) // five at once on each
  alone.child.kill('SIGKILL')
  await alone.finished
  open()
  await until(async () => (await states(ids)).filter(({ state }) => state === 'sent').length === 7)
  t.ok(
    ids.every((id) => copies(id).length <= 1),
    'what the dead one had in hand is not taken over at once',
  )
  await database.query('UPDATE outbox SET claimed_until = 0 WHERE claimed_until > 0') // a minute passes
  await allSent(ids)
  for (const id of ids) {
    t.ok(copies(id).length >= 1 && copies(id).length <= 2, 'delivered')
    t.equal(new Set(copies(id)).size, 1)
  }
})

t.test('SIGTERM lets a delivery under way end, in the process above the workers too', async (t) => {
  closeGate()
  const ids = await write(3)
  await until(async () => inHand === 3)
  const ending = stopped(workers)
  await said(workers, 'closing: requests in flight finish first')
  open()
  t.equal((await ending).code, 0)
  t.same(
    (await states(ids)).map(({ state }) => state),
    ['sent', 'sent', 'sent'],
  )
  for (const id of ids) t.equal(copies(id).length, 1)
  const printed = alone.output() + workers.output()
  t.match(printed, /"msg":"message sent"/)
  t.notMatch(printed, /s3cr3t-of-mail|@example\.com"/, 'no password and no address in the log')
})
