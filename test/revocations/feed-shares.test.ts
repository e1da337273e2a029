import t from 'tap'
import { bearer, newUser, startApp } from '../support/app.ts'

const FEED = '/.well-known/revocations'

t.test('one network takes half of the places, and there is one for who comes from elsewhere', async (t) => {
  const { app } = await startApp(t, { now: () => 1_800_000_000, env: { FEED_MAX_WAITERS: '6' } })
  const { token } = await newUser(app)
  const { etag } = (await app.inject(FEED)).headers
  const statuses: number[] = []
  const poll = async (remoteAddress: string) => {
    const { statusCode } = await app.inject({
      url: `${FEED}?wait=30`,
      headers: { 'if-none-match': String(etag) },
      remoteAddress,
    })
    statuses.push(statusCode)
  }
  const polls = Array.from({ length: 10 }, () => poll('192.0.2.1'))
  while (statuses.length < 7) await new Promise((resolve) => setImmediate(resolve))
  for (const end of [1, 2, 3]) polls.push(poll(`2001:db8::${end}`))
  while (statuses.length < 8) await new Promise((resolve) => setImmediate(resolve))
  t.same(statuses, Array(8).fill(304), 'three wait here, two there')
  await app.inject({ method: 'POST', url: '/v1/logout', headers: bearer(token) })
  await Promise.all(polls)
  t.same(statuses, [...Array(8).fill(304), ...Array(5).fill(200)])
})
