import t from 'tap'
import { retryAfterMs } from '../../src/verifier/feed/retry-after.ts'
import { page, stream } from './change-answers.ts'
import { NOW } from './feed-copies.ts'
import { copy, following } from './following.ts'

t.test('what an answer asks to wait: bounded, and a quarter more at the most', async (t) => {
  const rows: [status: number, said: string | undefined, random: number, milliseconds: number][] = [
    [200, '2', 0, 2000],
    [304, ' 10 ', 0, 10_000],
    [429, '10', 1, 12_500],
    [503, '10', 0.5, 11_250],
    [503, '61', 0, 60_000],
    [503, '99999999999999999999', 1, 75_000],
    [503, new Date((NOW + 7) * 1000).toUTCString(), 0, 7000],
    [503, new Date((NOW - 7) * 1000).toUTCString(), 0, 0],
    [503, '0', 1, 0],
    [503, '-5', 0, 0],
    [503, 'soon', 0, 0],
    [503, '', 0, 0],
    [503, undefined, 0, 0],
    [500, '10', 0, 0],
    [301, '10', 0, 0],
  ]
  for (const [status, said, random, milliseconds] of rows) {
    const headers = new Headers(said === undefined ? {} : { 'retry-after': said })
    t.equal(retryAfterMs({ status, headers }, NOW, random), milliseconds, `${status} ${said}`)
  }
})

for (const speaksChanges of [true, false]) {
  const form = speaksChanges ? 'the change stream' : 'the whole feed'
  t.test(`${form}: a server without a place to wait is asked again when it says, and not before`, async (t) => {
    const busy = { 'retry-after': '8' }
    const answers: Record<string, () => Promise<Response>> = {
      429: async () => new Response(null, { status: 429, headers: busy }),
      503: async () => new Response(null, { status: 503, headers: busy }),
      ...(speaksChanges
        ? { 200: await stream([{ after: 10 }], busy) }
        : { 304: async () => new Response(null, { status: 304, headers: busy }) }),
    }
    for (const [status, answer] of Object.entries(answers)) {
      const { revocations, issuer, asked, pass } = following(t)
      issuer.speaksChanges = speaksChanges
      issuer.feed = speaksChanges ? await stream([page(1, 1, 10)]) : () => copy({})
      await revocations.hydrate()
      issuer.feed = answer
      await pass(0.25)
      t.equal(asked.length, 2, status)
      await pass(7.75)
      t.equal(asked.length, 2, `${status}: seven seconds later`)
      await pass(2.5)
      t.equal(asked.length, 3, `${status}: at most a quarter later`)
    }
  })
}
