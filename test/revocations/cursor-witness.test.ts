import { randomBytes } from 'node:crypto'
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { decodeJwt } from 'jose'
import t from 'tap'
import { shortDigest, writeCursor } from '../../src/revocations/change-cursor.ts'
import type { ChangesClaims } from '../../src/revocations/changes-format.ts'
import { CursorWitness } from '../../src/revocations/cursor-witness.ts'
import { FollowedRevocations } from '../../src/revocations/follow-revocations.ts'
import { bearer, newUser, startApp, type TestServer, temporaryFolder } from '../support/app.ts'
import { good } from '../support/claims.ts'
import { FakeStore } from './fake-store.ts'

// The store goes back, and no server that had read what it lost is left. Followers have cursors that name it.

const newKey = () => ({ id: 'key', signFrom: 0, secret: randomBytes(32) })
const KEY = newKey()

/** A server that has read the store. */
async function server(store: FakeStore, refreshKeys = [KEY]) {
  const now = () => good.iat
  const node = new FollowedRevocations({ store, now, monotonic: () => 0, wall: now, report: () => undefined })
  await node.catchUp()
  const witness = new CursorWitness({ store, revocations: node, refreshKeys: () => refreshKeys, now })
  node.onLook(() => witness.note())
  const cursor = (tag?: string) => {
    const { seq } = node
    return writeCursor({
      history: shortDigest(node.history),
      seq,
      keys: 'kkkkkkkk',
      renewals: 0,
      tag: tag ?? witness.tagAt(seq),
    })
  }
  const hear = async (text: string) => {
    witness.hear(text)
    for (let i = 0; i < 20; i += 1) await turn()
  }
  return { node, witness, cursor, hear }
}

/** A store that lost its last two numbers, and the cursor of a follower that has them. */
async function lost() {
  const store = new FakeStore()
  store.commit('before')
  const goBack = store.backup()
  const first = await server(store)
  store.commit('lost')
  store.commit('lost too')
  await first.node.catchUp()
  const { seq } = first.node
  const [cursor, bare] = [first.cursor(), first.cursor('')]
  goBack()
  return { store, seq, cursor, bare, first }
}

for (const [name, again] of Object.entries({ fewer: 0, 'as many': 2, more: 5 }))
  t.test(`a cursor of what was lost begins a new history: the store has ${name} numbers again`, async (t) => {
    const { store, seq, cursor } = await lost()
    for (let i = 0; i < again; i += 1) store.commit(`after ${i}`)
    const [one, two] = [await server(store), await server(store)]
    const { history } = one.node
    await Promise.all([one.hear(cursor), two.hear(cursor)])
    t.not(one.node.history, history)
    t.equal(one.node.history, store.history)
    t.ok(one.node.seq > seq, 'numbers never repeat')
    await two.node.catchUp()
    t.equal(two.node.history, store.history, 'one new history, not two')
    t.equal(one.node.historyChanges, 1)
  })

t.test('a node that is only ahead is no alarm, and its number is looked for once', async (t) => {
  const store = new FakeStore()
  const [ahead, behind] = [await server(store), await server(store)]
  store.commit('a')
  store.commit('b')
  await ahead.node.catchUp()
  const { history } = store
  await behind.hear(ahead.cursor())
  t.same([store.history, behind.node.seq], [history, 2])
  const { length } = store.reads
  await behind.hear(ahead.cursor())
  t.equal(store.reads.length, length)
  t.equal(behind.cursor(), ahead.cursor(), 'nodes with the same state give the same cursor')
  t.ok(behind.cursor().length <= 100)
})

t.test('a number that was read in the middle of others is looked for in the store', async (t) => {
  const store = new FakeStore()
  const old = await server(store)
  store.commit('a')
  await old.node.catchUp()
  const cursor = old.cursor()
  store.commit('b')
  const { history } = store
  const young = await server(store)
  await young.hear(cursor)
  t.equal(store.history, history)
})

t.test('what no server wrote, and what nobody can tell any more, changes nothing', async (t) => {
  const { store, cursor, bare, first } = await lost()
  const { history } = store
  const tag = first.witness.tagAt(first.node.seq)
  const forged = `${tag.slice(0, -1)}${tag.endsWith('A') ? 'B' : 'A'}`
  const other = writeCursor({ history: shortDigest('x'), seq: 9, keys: 'kkkkkkkk', tag, renewals: 0 })
  const higher = cursor.replace('.3.', '.4.')
  for (const text of ['0', 'x', bare, bare + forged, other, higher]) {
    const { length } = store.reads
    const young = await server(store)
    await young.hear(text)
    t.equal(store.reads.length, length + 1, `${text} costs no read`)
  }
  await (await server(store, [newKey()])).hear(cursor)
  t.equal(store.history, history, 'the key was revoked')
  for (let i = 0; i < 5; i += 1) store.commit(`after ${i}`)
  for (let seq = 0; seq < 5; seq += 1) store.marks.delete(seq)
  await (await server(store)).hear(cursor)
  t.equal(store.history, history, 'marks of that time are not kept any more')
})

t.test('a store that is away, or can not be written, is asked again later', async (t) => {
  const { store, cursor } = await lost()
  const { history } = store
  const one = await server(store)
  store.readOnly = new Error('read-only')
  await one.hear(cursor)
  t.equal(store.history, history)
  store.readOnly = undefined
  const two = await server(store)
  await two.hear(cursor)
  t.not(store.history, history)
})

t.test('servers that boot on a store that lacks a logout give followers everything anew', async (t) => {
  const folder = await temporaryFolder(t)
  const env = (file: string) => ({ DATABASE_URL: `sqlite:${join(folder, file)}`, KEYS_DIR: join(folder, 'keys') })
  const FEED = '/.well-known/revocations'
  const read = async ({ app }: Pick<TestServer, 'app'>, after: string) => {
    const { body } = await app.inject(`${FEED}?after=${after}&wait=30`)
    return body
      .split('\n')
      .slice(0, -1)
      .map((line) => decodeJwt<ChangesClaims>(line))
  }
  const one = await startApp(t, { env: env('primary.db') })
  const { token } = await newUser(one.app)
  for (const end of ['', '-wal']) await cp(join(folder, `primary.db${end}`), join(folder, `standby.db${end}`))
  await one.app.inject({ method: 'POST', url: '/v1/logout', headers: bearer(token) })
  const [before] = await read(one, '0')
  await one.app.close()
  const two = await startApp(t, { env: env('standby.db'), ownKey: true })
  const [after] = await read(two, before?.cursor ?? '')
  t.match(after, { page: 1, pages: 1 })
  t.not(after?.history, before?.history)
  t.ok((after?.seq ?? 0) > (before?.seq ?? 0))
})

t.test('while every refresh key is revoked cursors carry no proof, and none is believed', async (t) => {
  const none = () => {
    throw new Error('no refresh key can be used')
  }
  const now = () => good.iat
  const store = new FakeStore()
  const node = new FollowedRevocations({ store, now, monotonic: () => 0, report: () => undefined })
  await node.catchUp()
  const witness = new CursorWitness({ store, revocations: node, refreshKeys: none, now })
  t.equal(witness.tagAt(node.seq), '')
  t.doesNotThrow(() => witness.hear('0'))
})
