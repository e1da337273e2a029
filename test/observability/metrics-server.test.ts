import t from 'tap'
import { listenMetrics } from '../../src/observability/metrics-server.ts'

t.test('many who ask at once share one page, and a page that fails is a 500 that tells nothing', async (t) => {
  let made = 0
  let finish = (_text: string) => {}
  const faults: unknown[] = []
  const page = {
    contentType: 'text/plain',
    metrics: () => {
      made += 1
      if (made > 1) return Promise.reject(new Error('a secret'))
      return new Promise<string>((resolve) => {
        finish = resolve
      })
    },
  }
  const server = await listenMetrics({ host: '127.0.0.1', port: 0, page, report: (error) => faults.push(error) })
  t.teardown(server.close)
  let asked = 0
  const replies = Promise.all(
    Array.from({ length: 5 }, async () => {
      const reply = fetch(server.url)
      asked += 1
      return (await reply).text()
    }),
  )
  while (asked < 5 || made === 0) await new Promise(setImmediate)
  await fetch(new URL('/elsewhere', server.url)) // by its answer the five are in too
  finish('page')
  t.same(new Set(await replies), new Set(['page']))
  t.equal(made, 1)

  const failed = await fetch(server.url)
  t.equal(failed.status, 500)
  t.notMatch(await failed.text(), 'secret')
  t.match(faults, [{ message: 'a secret' }])
})
