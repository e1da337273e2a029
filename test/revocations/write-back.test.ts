import { mock } from 'node:test'
import t from 'tap'
import type { Database, Statement } from '../../src/db/database.ts'
import type { SetEntry } from '../../src/revocations/revocation-set.ts'
import { createWriteBack } from '../../src/revocations/write-back.ts'
import '../support/fake-timeouts.ts'

const entries = (count: number, from = 0): SetEntry[] =>
  Array.from({ length: count }, (_, index) => ({
    kind: 'session',
    subject: `s${from + index}`,
    minVersion: null,
    expiresAt: 2000,
  }))
const settled = async () => {
  for (let i = 0; i < 100; i += 1) await new Promise((resolve) => setImmediate(resolve))
}

/** A store that keeps the parameters of each transaction, and may refuse it. */
function store() {
  const written: string[][] = []
  const log: string[] = []
  const state = { away: undefined as Error | undefined, written, log, thereAgain: [] as string[] }
  const transaction = async (statements: readonly Statement[]) => {
    if (state.away !== undefined) throw state.away
    const subjects = (statements[0]?.params ?? []).filter((value) => /^s\d+$/.test(String(value))).map(String)
    written.push(subjects)
    return statements.map(({ sql }) => {
      if (/UPDATE accounts\s.*RETURNING id/s.test(sql)) return state.thereAgain.map((id) => ({ id }))
      return /INSERT INTO revocations/.test(sql) ? subjects.map((subject) => ({ subject })) : []
    })
  }
  const say = (level: string) => (fields: object, text: string) =>
    void log.push(`${level} ${JSON.stringify({ ...fields, err: undefined })} ${text}`)
  const writeBack = createWriteBack({ transaction } as unknown as Database, () => 1000, {
    info: say('info') as never,
    error: say('error') as never,
  })
  return { ...state, state, writeBack }
}

t.test('in transactions of a hundred, each entry once, and the log says how many', async (t) => {
  const { writeBack, written, log } = store()
  writeBack.add(entries(250))
  writeBack.add(entries(10, 250))
  await settled()
  t.same(
    written.map(({ length }) => length),
    [100, 100, 60],
  )
  t.same(
    written.flat().sort(),
    entries(260)
      .map(({ subject }) => subject)
      .sort(),
  )
  t.match(log, [/info {"written":260}/])
})

t.test('a store that refuses is told of once, and tried again until it takes all', async (t) => {
  const { writeBack, state, written, log } = store()
  state.away = new Error('read-only')
  writeBack.add(entries(3))
  await settled()
  for (let tries = 0; tries < 3; tries += 1) {
    mock.timers.tick(1000)
    await settled()
  }
  writeBack.add(entries(2, 3)) // while it waits for its next try
  await settled()
  t.match(log, [/error {"waiting":3}/], 'once')
  state.away = undefined
  mock.timers.tick(1000)
  await settled()
  t.same(written, [['s0', 's1', 's2', 's3', 's4']])
  t.match(log.slice(1), [/info {"written":5}/])
  writeBack.add(entries(1, 5))
  await settled()
  t.equal(written.length, 2, 'and then at once again')
})

t.test('very many are written all the same, and the log says how many', async (t) => {
  const { writeBack, written, log } = store()
  writeBack.add(entries(5000))
  await settled()
  t.match(log, [/info {"written":5000}/])
  writeBack.add(entries(5001, 5000))
  await settled()
  t.match(log.slice(1), [/error {"lacking":5001} .*copy/, /info {"written":5001}/])
  t.equal(written.flat().length, 10_001)
})

t.test('what was deleted and is there again is named in the log', async (t) => {
  const { writeBack, state, log } = store()
  state.thereAgain.push('acc_1', 'acc_2')
  writeBack.add([{ kind: 'account', subject: 'acc_1', minVersion: null, expiresAt: 2000 }])
  await settled()
  t.match(log, [/error {"deleted":\["acc_1","acc_2"\]} .*suspend these accounts and delete these clients/])
})

t.test('after the end nothing is tried any more', async (t) => {
  const { writeBack, state, written } = store()
  state.away = new Error('away')
  writeBack.add(entries(1))
  await settled()
  writeBack.stop()
  state.away = undefined
  mock.timers.tick(10_000)
  await settled()
  t.same(written, [])
})
