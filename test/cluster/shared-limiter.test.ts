import t from 'tap'
import type { PrimaryCalls } from '../../src/cluster/calls.ts'
import { createRpc } from '../../src/cluster/rpc.ts'
import { createRemoteLimiter, createWorkerLimiter } from '../../src/cluster/shared-limiter.ts'
import { loadConfig } from '../../src/config/config.ts'
import { createLimiter } from '../../src/limits/limiter.ts'
import { bearer, newUser, PASSWORD, startApp } from '../support/app.ts'

const LIMITED = { RATE_LIMIT_LOGIN: '3', LOGIN_FREE_FAILURES: '2' }
const attempt = { account: 'ada', network: '192.0.2.1' }
const now = () => 1_800_000_000

/** A worker whose questions are answered by the limiter that the primary offers it. */
function worker(limiter = createLimiter(loadConfig({ env: LIMITED }), now)) {
  const workerLimiter = createWorkerLimiter(limiter)
  const rpc = createRpc<PrimaryCalls>({ send: (message) => primary.receive(message), calls: {} })
  const primary = createRpc({ send: (message) => rpc.receive(message), calls: { ...workerLimiter.calls } })
  return { workerLimiter, limiter, remote: createRemoteLimiter(rpc) }
}

t.test('two workers count together', async (t) => {
  const one = worker()
  const other = worker(one.limiter)
  t.match(await one.remote.spend('login', 'x'), { allowed: true, remaining: 2 })
  t.match(await other.remote.spend('login', 'x'), { allowed: true, remaining: 1 })
  for (const { remote } of [one, other]) {
    const admission = await remote.begin(attempt)
    if (admission.admitted) await remote.end(admission.ticket, 'failed')
  }
  t.match(await one.remote.begin(attempt), { admitted: false, retryIn: 1 })
})

t.test('attempts of a worker that died do not count, and a ticket ends once', async (t) => {
  const { workerLimiter, limiter, remote } = worker()
  await remote.begin(attempt)
  await remote.begin(attempt)
  t.match(await limiter.begin(attempt), { admitted: false })
  workerLimiter.leave()
  const admission = await limiter.begin(attempt)
  t.ok(admission.admitted)
  if (admission.admitted) await workerLimiter.calls.end(admission.ticket, 'succeeded')
  t.match(await limiter.begin(attempt), { admitted: true }, 'neither of the two counts')
  t.match(await limiter.begin(attempt), { admitted: false }, 'a ticket that was not given to this worker ends nothing')
})

t.test('a ticket that ends twice gives back one attempt', async (t) => {
  const one = worker()
  const other = worker(one.limiter)
  await other.remote.begin(attempt)
  const admission = await one.remote.begin(attempt)
  if (!admission.admitted) throw new Error('refused')
  for (const _ of ['once', 'twice']) await one.remote.end(admission.ticket, 'void')
  t.match(await one.remote.begin(attempt), { admitted: true })
  t.match(await one.remote.begin(attempt), { admitted: false }, 'that of the other worker still counts')
})

t.test('an attempt that was admitted too late counts for nothing', async (t) => {
  const ended: unknown[] = []
  let admit = () => {}
  const rpc = createRpc<PrimaryCalls>({
    send: (message) => {
      const { call, args, id } = message as unknown as { call: string; args: unknown[]; id: number }
      if (call === 'end') ended.push(args)
      else admit = () => rpc.receive({ answer: id, value: { admitted: true, ticket: { ...attempt, stranger: true } } })
    },
    calls: {},
  })
  const impatient = createRemoteLimiter({
    call: (name, args, options) => rpc.call(name, args, { ...options, timeoutMs: 1 }),
  })
  await t.rejects(impatient.begin(attempt), { code: 'overloaded' })
  admit()
  t.same(ended, [[{ ...attempt, stranger: true }, 'void']])
})

t.test('without the process that counts, limited routes answer 503 and verified routes go on', async (t) => {
  const { limiter } = worker()
  let away = false
  const rpc = createRpc<PrimaryCalls>({
    send: (message) => {
      if (away) throw new Error('gone')
      primary.receive(message)
    },
    calls: {},
  })
  const primary = createRpc({
    send: (message) => rpc.receive(message),
    calls: { ...createWorkerLimiter(limiter).calls },
  })
  const { app } = await startApp(t, {
    env: { ...LIMITED, RATE_LIMIT_REFRESH_PER_SESSION: '5' },
    limiter: createRemoteLimiter(rpc),
  })
  const { token, email } = await newUser(app)
  const login = { method: 'POST', url: '/v1/login', payload: { email, password: PASSWORD } } as const
  const { refresh_token } = (await app.inject(login)).json()

  away = true
  for (const request of [login, { method: 'POST', url: '/v1/refresh', payload: { refresh_token } } as const]) {
    const reply = await app.inject(request)
    t.equal(reply.statusCode, 503)
    t.equal(reply.json().code, 'overloaded')
    t.equal(reply.headers['retry-after'], '1')
  }
  t.equal((await app.inject({ url: '/v1/me', headers: bearer(token) })).statusCode, 200)
})
