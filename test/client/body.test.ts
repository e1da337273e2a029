import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { SessionStorage, StoredSession } from '../../src/client/index.ts'
import { fileStorage } from '../../src/client/node.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { json, pair, problem } from './fake-server.ts'
import { API, CREDENTIALS, OVER, scene } from './tabs.ts'

const HOUR = 3_600_000
const body = (storage: SessionStorage, more: object = {}) => ({ transport: 'body', storage, ...more }) as const
/** A storage that remembers each step. */
function watched() {
  let value: StoredSession | null = null
  let failure: Error | undefined
  const steps: string[] = []
  const storage: SessionStorage = {
    async get() {
      if (failure !== undefined) throw failure
      return value
    },
    async set(next) {
      if (failure !== undefined) throw failure
      await new Promise(setImmediate)
      steps.push(next === null ? 'removed' : next.refreshToken)
      value = next
    },
  }
  const fail = (error?: Error) => {
    failure = error
  }
  const put = (next: StoredSession | null) => {
    value = next
  }
  return { storage, steps, fail, value: () => value, put }
}

t.test('the pair is stored before it is used, and no cookie is sent', async (t) => {
  const { storage, steps, value } = watched()
  const { session, server, done, clock } = scene(t, body(storage))
  session.onChange(() => steps.push('told'))
  await done(session.login(CREDENTIALS))
  await clock.pass(HOUR)
  await done(session.fetch(API))
  t.match(steps, [/^srt_/, 'told', /^srt_/, 'told'])
  t.same(server.seen[1]?.body, { refresh_token: steps[0] })
  t.ok(server.seen.slice(0, 2).every(({ init }) => init.credentials === 'omit' && init.redirect === 'error'))
  t.equal(value()?.accessToken, await session.token())
  await done(session.logout())
  t.same([steps.at(-1), value()], ['removed', null])
})

t.test('a storage that fails ends nothing: the old token is sent again', async (t) => {
  const { storage, fail, value } = watched()
  const { session, server, done, clock, codeOf } = scene(t, body(storage))
  await done(session.login(CREDENTIALS))
  const before = value()
  server.routes['/v1/refresh'] = () => {
    fail(new Error('disk full'))
    return pair()
  }
  await clock.pass(HOUR)
  t.equal(await codeOf(session.fetch(API)), 'storage_failed')
  t.same([session.state, value()], ['unknown', before], 'what could not be stored is not used')
  server.routes['/v1/refresh'] = () => pair()
  fail()
  await clock.pass(120_000)
  t.equal(session.state, 'signed-in')
  t.same(server.seen.at(-1)?.body, { refresh_token: before?.refreshToken })
})

t.test('a process that was killed between answer and write goes on with what is stored', async (t) => {
  const { storage, put, value } = watched()
  const { session, done, clock } = scene(t, body(storage))
  await done(session.login(CREDENTIALS))
  const old = value()
  await clock.pass(HOUR)
  await done(session.refresh())
  put(old)
  const next = scene(t, body(storage))
  await next.clock.pass(HOUR)
  t.equal(await next.done(next.session.start()), 'signed-in')
  t.same(next.server.seen[0]?.body, { refresh_token: old?.refreshToken })
})

t.test('start takes a stored access token that lives, and asks nobody', async (t) => {
  const { storage, put } = watched()
  const first = scene(t, body(storage))
  await first.done(first.session.login(CREDENTIALS))
  const second = scene(t, body(storage))
  t.equal(await second.done(second.session.start()), 'signed-in')
  t.equal(second.server.seen.length, 0)
  for (const storedAtMs of [second.clock.clock.wall() + HOUR, Number.NaN, 0]) {
    put({ refreshToken: 'srt_9', accessToken: 'a.b.c', lifeMs: 600_000, storedAtMs })
    const third = scene(t, body(storage))
    t.equal(await third.done(third.session.start()), 'signed-in', String(storedAtMs))
    t.equal(third.server.count('/v1/refresh'), 1, 'a clock that can not be right')
  }
  for (const garbage of [undefined, {}, { refreshToken: 7 }, { refreshToken: 'a\nb' }, 'text']) {
    put(garbage as never)
    const fourth = scene(t, body(storage))
    t.equal(await fourth.done(fourth.session.start()), 'signed-out', JSON.stringify(garbage))
  }
})

t.test(
  'several processes with one storage: one refreshes, the others take it, and a logout is one for all',
  async (t) => {
    const { storage, put } = watched()
    const { session, open, done, clock, server } = scene(t, body(storage, { locks: undefined }))
    const other = open().session
    await done(session.login(CREDENTIALS))
    await done(other.start())
    t.equal(other.state, 'signed-in')
    await clock.pass(HOUR)
    await done(session.refresh())
    await done(other.fetch(API))
    t.equal(server.count('/v1/refresh'), 1)

    // While a request is under way another process stores the next pair; then the answer of this one does not count.
    await clock.pass(HOUR)
    const wall = clock.clock.wall()
    const theirs = { refreshToken: 'srt_theirs', accessToken: 'a.b.c', lifeMs: 600_000, storedAtMs: wall }
    for (const [accessToken, answer] of [
      ['a.b.c', () => pair()],
      ['d.e.f', OVER],
    ] as const) {
      server.routes['/v1/refresh'] = () => {
        put({ ...theirs, accessToken, storedAtMs: clock.clock.wall() })
        return answer()
      }
      await done(session.refresh())
      t.same([await session.token(), session.state], [accessToken, 'signed-in'])
      put({ ...theirs, refreshToken: 'srt_before', accessToken: 'x.y.z', storedAtMs: 0 })
    }
    put(theirs)
    await done(other.logout())
    await clock.pass(HOUR)
    await done(session.fetch(API))
    t.equal(session.state, 'signed-out')
  },
)

t.test('logout by the refresh token, and a new login by password: the stored one stays when none comes', async (t) => {
  const { storage, value } = watched()
  const { session, done, clock, server, codeOf } = scene(t, body(storage), {
    '/v1/reauthenticate': () => pair({}, { refresh_token: undefined }),
  })
  await done(session.login(CREDENTIALS))
  const { refreshToken } = value() as StoredSession
  await done(session.reauthenticate('x'))
  t.equal(value()?.refreshToken, refreshToken)
  await clock.pass(HOUR)
  await done(session.logout('all'))
  t.same(server.seen.at(-1)?.body, { scope: 'all', refresh_token: refreshToken })
  server.routes['/v1/login'] = () => json({ access_token: 'a.b.c', token_type: 'Bearer', expires_in: 600 })
  t.equal(await codeOf(session.login(CREDENTIALS)), 'unexpected_answer', 'no refresh token came')
  server.routes['/v1/login'] = () => problem('invalid_credentials', 401)
  t.equal(await codeOf(session.login(CREDENTIALS)), 'invalid_credentials')
  t.equal(session.state, 'signed-out')
})

t.test('the file: only its owner can read it, it is replaced as a whole, and garbage is no session', async (t) => {
  const folder = join(await temporaryFolder(t), 'deep/er')
  const path = join(folder, 'session.json')
  const storage = fileStorage(path)
  const value = { refreshToken: 'srt_1', accessToken: 'a.b.c', lifeMs: 1, storedAtMs: 2 }
  t.equal(await storage.get(), null)
  await storage.set(value)
  t.same([await storage.get(), (await stat(path)).mode & 0o777], [value, 0o600])
  await writeFile(path, 'x', { mode: 0o644 })
  t.equal(await storage.get(), null, 'half of a file')
  await Promise.all(Array.from({ length: 10 }, (_, lifeMs) => storage.set({ ...value, lifeMs })))
  t.ok(JSON.parse(await readFile(path, 'utf8')).lifeMs >= 0)
  t.same([await readdir(folder), (await stat(path)).mode & 0o777], [['session.json'], 0o600], 'nothing is left over')
  await storage.set(null)
  await storage.set(null)
  t.equal(await storage.get(), null)
  await mkdir(path)
  await t.rejects(async () => storage.get(), { code: 'EISDIR' })
  await t.rejects(async () => storage.set(value))
  t.same(await readdir(folder), ['session.json'])
})
