import t from 'tap'
import type { AuditEntry } from '../../src/audit/audit.ts'
import { bearer } from '../support/app.ts'
import { NOBODY } from '../support/people.ts'
import { type Event, everyPage, fill, LINES, MEMBERS, parsed, stage, write, YEAR_2026 } from './audit-stage.ts'

// Reading the audit trail, page by page and as an export.

t.test('an event has these members and no others, on a page and in an export', async (t) => {
  const scene = await stage(t)
  const source = { ip: '192.0.2.7', userAgent: 'phone', requestId: 'r-1' }
  const detail = { roles: ['a'], roles_before: [], last_ip: null, in_a_row: 2 }
  const entry = { event: 'roles_changed', source, accountId: 'acc_a', actorId: 'client_x', detail } as const
  await write(scene, [[YEAR_2026, entry]])
  const { events, next_cursor } = (await scene.read()).json()
  const expected = {
    id: events[0].id,
    at: '2026-01-01T00:00:00Z',
    event: 'roles_changed',
    account_id: 'acc_a',
    session_id: null,
    actor_id: 'client_x',
    ip: '192.0.2.7',
    user_agent: 'phone',
    request_id: 'r-1',
    detail,
  }
  t.same([events, next_cursor], [[expected], undefined])
  const answer = await scene.lines()
  t.equal(answer.headers['content-type'], 'application/x-ndjson; charset=utf-8')
  t.equal(answer.headers['cache-control'], 'no-store')
  t.equal(answer.body, `${JSON.stringify(expected)}\n`)
  t.same(Object.keys(parsed(answer.body)[0] ?? {}), MEMBERS)
})

t.test('filters narrow the trail, alone and together', async (t) => {
  const scene = await stage(t)
  const at = (ip: string) => ({ ...NOBODY, ip })
  const EVENTS: [number, Partial<AuditEntry>][] = [
    [YEAR_2026, { accountId: 'acc_a', sessionId: 's1', source: at('192.0.2.1') }],
    [YEAR_2026 + 60, { event: 'client_created', actorId: 'acc_admin', detail: { client_id: 'client_x' } }],
    [YEAR_2026 + 60, { event: 'client_created', actorId: 'client_m', detail: { client_id: 'clientAx' } }],
    [YEAR_2026 + 120, { event: 'session_ended', accountId: 'acc_a', sessionId: 's2', actorId: 'client_m' }],
    [YEAR_2026 + 180, { accountId: 'acc_b', source: at('2001:db8::1'), detail: { reason: '"client_id":"client_x"' } }],
  ]
  await write(scene, EVENTS)
  const CASES: [query: string, times: number[]][] = [
    ['', [0, 60, 60, 120, 180]],
    ['?account_id=acc_a', [0, 120]],
    ['?account_id=acc_nobody', []],
    ['?event=client_created', [60, 60]],
    ['?actor_id=client_m', [60, 120]],
    ['?client_id=client_x', [60]],
    ['?client_id=client_', []],
    ['?session_id=s2', [120]],
    ['?ip=192.0.2.1', [0]],
    ['?ip=2001:db8::1', [180]],
    ['?from=2026-01-01T00:01:00Z', [60, 60, 120, 180]],
    ['?to=2026-01-01T00:01:00Z', [0]],
    ['?from=2026-01-01T00:01:00Z&to=2026-01-01T00:02:00Z', [60, 60]],
    ['?from=2026-01-01T01:02:00%2B01:00', [120, 180]],
    ['?from=2026-01-01T00:02:00.900Z', [120, 180]],
    ['?account_id=acc_a&actor_id=client_m', [120]],
    ['?account_id=acc_b&actor_id=client_m', []],
    ['?actor_id=client_m&from=2026-01-01T00:02:00Z', [120]],
  ]
  for (const [query, times] of CASES) {
    const seen = (events: Event[]) => events.map(({ at }) => Date.parse(at) / 1000 - YEAR_2026)
    t.same(seen((await scene.read(query)).json().events), times, query)
    t.same(seen(parsed((await scene.lines(query)).body)), times, `export ${query}`)
  }
})

t.test('what is no filter is refused by field', async (t) => {
  const { read, lines } = await stage(t)
  const CASES: [query: string, field: string][] = [
    ['?from=yesterday', '/from'],
    ['?from=1767225600', '/from'],
    ['?from=2026-01-01', '/from'],
    ['?to=2026-13-01T00:00:00Z', '/to'],
    ['?from=', '/from'],
    ['?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z', '/to'],
    ['?from=2026-01-01T00:00:00Z&to=2026-01-01T00:00:00Z', '/to'],
    ['?cursor=x', '/cursor'],
    ['?limit=0', '/limit'],
    ['?account_id=', '/account_id'],
    ['?account_id=a&account_id=b', '/account_id'],
    [`?event=${'x'.repeat(65)}`, '/event'],
    ['?client_id=%25', '/client_id'],
    ['?user=acc_a', '/user'],
  ]
  for (const [query, field] of CASES)
    for (const ask of [read, lines])
      t.match((await ask(query)).json(), { code: 'validation_failed', errors: [{ field }] }, query)
  t.match((await lines('?limit=5')).json(), { code: 'validation_failed', errors: [{ field: '/limit' }] })
})

t.test('every event is on exactly one page, oldest first; an export is all pages in one', async (t) => {
  const scene = await stage(t)
  await fill(scene, 1234)
  const pages = await everyPage(scene.read, '?limit=200')
  t.same(
    pages.map(({ length }) => length),
    [200, 200, 200, 200, 200, 200, 34],
  )
  const events = pages.flat()
  t.equal(new Set(events.map(({ id }) => id)).size, 1234)
  t.same(
    events.map(({ at }) => at),
    events.map(({ at }) => at).toSorted(),
  )
  t.same(parsed((await scene.lines()).body), events)
  const [, , third] = pages
  const { next_cursor } = (await scene.read('?limit=200')).json()
  t.same(
    parsed((await scene.lines(`?cursor=${next_cursor}`)).body),
    events.slice(200),
    'an export goes on after a page',
  )
  t.ok(third)
})

t.test(
  'a filter without an index looks at a bounded number of rows for a page, and finds all in the end',
  async (t) => {
    const scene = await stage(t)
    await fill(scene, 12_000)
    await write(scene, [
      [YEAR_2026, { event: 'keys_changed' }],
      [YEAR_2026 + 700, { event: 'keys_changed' }],
      [YEAR_2026 + 100_000, { event: 'keys_changed' }],
    ])
    const pages = await everyPage(scene.read, '?event=keys_changed')
    t.same(
      pages.map(({ length }) => length),
      [1, 1, 1],
    )
    t.equal(parsed((await scene.lines('?event=keys_changed')).body).length, 3)
    t.same(await everyPage(scene.read, '?ip=192.0.2.1'), [[], [], []])
    t.equal((await scene.lines('?ip=192.0.2.1')).body, '')
    t.equal((await everyPage(scene.read, '?event=keys_changed&account_id=acc_a')).length, 1, 'an account has few')
  },
)

t.test('Accept decides, in any spelling, and HEAD reads nothing', async (t) => {
  const scene = await stage(t)
  await fill(scene, 3)
  const isLines = async (accept: string) =>
    String((await scene.lines('', { accept })).headers['content-type']).startsWith('application/x-ndjson')
  for (const accept of ['application/x-ndjson', 'Application/X-NDJSON;q=0.5', 'text/html, application/x-ndjson'])
    t.ok(await isLines(accept), accept)
  for (const accept of ['*/*', 'application/json', 'application/x-ndjson;q=0', 'application/x-ndjson2', ''])
    t.notOk(await isLines(accept), accept)
  const head = await scene.app.inject({
    method: 'HEAD',
    url: '/v1/admin/audit',
    headers: { ...bearer(scene.token), ...LINES },
  })
  t.match([head.statusCode, head.headers['content-type'], head.body], [200, /x-ndjson/, ''])
})
