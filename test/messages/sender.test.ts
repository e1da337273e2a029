import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { DeliveryError } from '../../src/messages/delivery-error.ts'
import type { Composed, Composers, Letter, NewMessage } from '../../src/messages/message.ts'
import { openSender } from '../../src/messages/open-sender.ts'
import { createEnqueue } from '../../src/messages/outbox-store.ts'
import { pauseAfter } from '../../src/messages/send-one.ts'
import { pauseBetweenLooks } from '../../src/messages/sender.ts'
import { startApp } from '../support/app.ts'
import { logTo } from '../support/messages.ts'

const NOW = 1_800_000_000
const ADDRESS = 'owner@example.com'

const clock = { now: NOW }
const server = await startApp(t, { now: () => clock.now, env: { MAIL_FROM: 'Us <no-reply@mail.example.com>' } })
const { database } = server

/** What a test lets happen, and what it saw. */
interface Scene {
  keys?: { refreshKeys: typeof server.keyring.refreshKeys }
  compose?: () => Promise<Composed>
  deliver?: (letter: Letter) => Promise<void>
}

const LETTER: Composed = {
  to: ADDRESS,
  language: 'de',
  data: { link: 'https://app.example.com/#token=s3cret', token: 's3cret', code: 'ABCD2345', until: String(NOW) },
  statements: [],
}

/** An empty outbox with one message, and a sender. */
async function scene(t: Test, { keys = server.keyring, ...options }: Scene = {}, message: Partial<NewMessage> = {}) {
  clock.now = NOW
  await database.query('DELETE FROM outbox')
  const log: string[] = []
  const letters: Letter[] = []
  const composers: Composers = { recovery: options.compose ?? (async () => LETTER) }
  const transport = {
    deliver: async (letter: Letter) => {
      letters.push(letter)
      await options.deliver?.(letter)
      return {}
    },
    close: () => undefined,
  }
  const logger = await logTo(log)
  const parts = { config: server.config, database, logger, now: () => clock.now }
  const open = () => openSender({ ...parts, keyring: keys, composers, transport })
  const cause = async (over: Partial<NewMessage> = {}) =>
    database.transaction(
      await createEnqueue(server.keyring)({ kind: 'recovery', facts: { email: ADDRESS }, ...over }, clock.now),
    )
  await cause(message)
  const row = async () => (await database.query('SELECT * FROM outbox'))[0]
  const send = async () => {
    await (await open())?.sendDue()
    t.notMatch(log.join(''), /owner@example|s3cret|ABCD2345/, 'no address and no secret in the log')
  }
  return { log, letters, cause, row, send, open }
}

t.test('a message is composed once, delivered, and then forgotten except for its row', async (t) => {
  const { letters, row, send } = await scene(t)
  t.notMatch(JSON.stringify(await row()), ADDRESS, 'what is stored is encrypted')
  await send()
  const { id, ...rest } = (await row()) ?? {}
  t.match(rest, { state: 'sent', sealed: null, attempts: 0, last_error: null, next_attempt_at: NOW, claimed_by: null })
  t.match(letters, [{ messageId: `${id}@mail.example.com`, to: ADDRESS, language: 'de', kind: 'recovery', date: NOW }])
  await send()
  t.equal(letters.length, 1)
})

t.test('each attempt has the same letter, and waits longer; after a day the message is dead', async (t) => {
  let composed = 0
  const { letters, row, send } = await scene(t, {
    compose: async () => {
      composed += 1
      return { ...LETTER, data: { ...LETTER.data, code: `CODE${composed}` } } as Composed
    },
    deliver: async () => {
      throw new DeliveryError('SMTP: 451')
    },
  })
  const pauses: number[] = []
  for (;;) {
    await send()
    const { state, sealed, next_attempt_at: next } = (await row()) ?? {}
    if (state === 'dead') break
    t.match(String(sealed), /^ey/, 'what it says is kept for the next attempt')
    pauses.push(Number(next) - clock.now)
    clock.now = Number(next) - 1
    await send()
    t.equal(letters.length, pauses.length, 'not a second before')
    clock.now += 1
  }
  for (const [index, pause] of pauses.entries()) {
    const least = Math.min(30 * 2 ** index, 3600)
    t.ok(pause >= least && pause <= Math.min(least * 1.5, 3600), `pause ${index}: ${pause}`)
  }
  t.equal(composed, 1)
  t.equal(new Set(letters.map((letter) => JSON.stringify(letter))).size, 1)
  t.ok(clock.now >= NOW + 86_400 && clock.now < NOW + 86_400 + 3600)
  t.match(await row(), { state: 'dead', sealed: null, last_error: 'SMTP: 451', next_attempt_at: clock.now })
  const [event] = await database.query("SELECT account_id, detail FROM audit_events WHERE event = 'message_dead'")
  t.match(JSON.parse(String(event?.detail)), { kind: 'recovery', reason: 'SMTP: 451' })
  await database.query('DELETE FROM audit_events')
})

t.test('the pause before the next attempt (30 s, doubled up to an hour, and chance)', async (t) => {
  const cases = [
    [1, 0, 30],
    [1, 1, 45],
    [2, 0, 60],
    [7, 0, 1920],
    [8, 0, 3600],
    [8, 1, 3600],
    [10_000, 0.5, 3600],
  ] as const
  for (const [failed, random, pause] of cases) t.equal(pauseAfter(failed, random), pause, `${failed}, ${random}`)
})

t.test('when the sender looks next depends on chance alone: half a second to one and a half', async (t) => {
  t.same([0, 0.5, 1].map(pauseBetweenLooks), [500, 1000, 1500])
  const sender = await (await scene(t)).open()
  t.same(Object.keys(sender ?? {}).toSorted(), ['sendDue', 'start', 'stop'], 'and no request can make it look at once')
})

const DEAD: Record<string, [scene: Scene, message: Partial<NewMessage>, reason: RegExp]> = {
  'a refused recipient': [
    {
      deliver: async () => {
        throw new DeliveryError('SMTP: EENVELOPE RCPT TO 550 5.1.1', { permanent: true })
      },
    },
    {},
    /550 5\.1\.1/,
  ],
  'a kind without a composer': [{}, { kind: 'invitation' }, /no composer for invitation/],
  'a seal whose key is gone': [
    { keys: { refreshKeys: () => [{ id: 'another', signFrom: 0, secret: randomBytes(32) }] } },
    {},
    /not in the keys folder/,
  ],
  'an address that can not be mailed': [
    { compose: async () => ({ ...LETTER, to: 'a,b@c' }) as Composed },
    {},
    /address/,
  ],
}
for (const [name, [options, message, reason]] of Object.entries(DEAD))
  t.test(`dead at once, without a second attempt: ${name}`, async (t) => {
    const { row, send } = await scene(t, options, message)
    await send()
    const found = await row()
    t.match(found, { state: 'dead', sealed: null, attempts: 1 })
    t.match(String(found?.last_error), reason)
  })

t.test('a message that nobody is to get is dropped, and nothing leaves', async (t) => {
  const { letters, row, send } = await scene(t, { compose: async () => 'drop' })
  await send()
  t.match(await row(), { state: 'dropped', sealed: null })
  t.equal(letters.length, 0)
})

t.test('the statements of a composer are committed with the composed message, or not at all', async (t) => {
  await database.query('CREATE TABLE minted (token TEXT)')
  const minting = (token: string) => ({ sql: 'INSERT INTO minted (token) VALUES ($1)', params: [token] })
  const minted = async () => (await database.query('SELECT token FROM minted')).map(({ token }) => token)
  const failing = await scene(t, {
    compose: async () =>
      ({ ...LETTER, statements: [minting('a'), { sql: 'INSERT INTO nowhere VALUES (1)' }] }) as Composed,
  })
  await failing.send()
  t.match(await failing.row(), { state: 'caused', attempts: 1, last_error: /an error of ours/ })
  t.same([await minted(), failing.letters], [[], []])

  const { row, letters, send } = await scene(t, {
    compose: async () => {
      await database.query("UPDATE outbox SET claimed_by = 'another sender'") // this one stood still for too long
      return { ...LETTER, statements: [minting('b')] } as Composed
    },
  })
  await send()
  t.match(await row(), { state: 'caused', claimed_by: 'another sender', attempts: 0 })
  t.same([await minted(), letters], [[], []])

  const good = await scene(t, { compose: async () => ({ ...LETTER, statements: [minting('c')] }) as Composed })
  await good.send()
  t.same([await minted(), good.letters.length], [['c'], 1])
})

t.test(
  'while nothing can be delivered, one message finds out for all, and the others keep their attempts',
  async (t) => {
    let down = true
    const { letters, cause, open } = await scene(t, {
      deliver: async () => {
        if (down) throw new DeliveryError('SMTP: ECONNREFUSED', { unreachable: true })
      },
    })
    for (let count = 1; count < 20; count += 1) await cause()
    const sender = await open()
    await sender?.sendDue()
    t.equal(letters.length, 5, 'as many as were under way')
    await sender?.sendDue()
    t.equal(letters.length, 5, 'a pause')
    clock.now += 60
    await sender?.sendDue()
    t.equal(letters.length, 6)
    clock.now += 60
    down = false
    await sender?.sendDue()
    const states = await database.query('SELECT state, COUNT(*) AS count FROM outbox GROUP BY state')
    t.ok(states.some(({ state, count }) => state === 'sent' && Number(count) >= 14))
    const waiting = await database.query("SELECT attempts, state FROM outbox WHERE state <> 'sent'")
    t.ok(
      waiting.every(({ attempts }) => Number(attempts) > 0),
      'only those that were tried wait for their next attempt',
    )
  },
)
