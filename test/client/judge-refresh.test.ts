import t from 'tap'
import { MAX_RETRY_AFTER_MS, readAnswer } from '../../src/client/answer.ts'
import { backOffMs } from '../../src/client/back-off.ts'
import { refused, SignetClientError } from '../../src/client/errors.ts'
import { judgeRefresh } from '../../src/client/judge-refresh.ts'
import { ERRORS } from '../../src/errors/app-error.ts'

const NOW = Date.UTC(2026, 0, 1, 12)
const read = (status: number, text = '', headers: Record<string, string> = {}) =>
  readAnswer({ status, headers: new Headers(headers) }, text, NOW)
const verdict = (status: number, text?: string, isCookie = true) => {
  const judged = judgeRefresh(read(status, text), isCookie)
  return typeof judged === 'string' ? judged : 'renewed'
}
const GOOD = { access_token: 'a.b.c', token_type: 'Bearer', expires_in: 600, refresh_token: 'srt_1', scope: '' }
const good = (change: object = {}) => JSON.stringify({ ...GOOD, ...change })
const code = (name: string) => JSON.stringify({ code: name, status: 401 })

t.test('only 401 with invalid_refresh_token is over, whatever else the server says', async (t) => {
  t.equal(verdict(401, code('invalid_refresh_token')), 'over')
  for (const [name, { status }] of Object.entries(ERRORS))
    if (name !== 'invalid_refresh_token') t.equal(verdict(status, code(name)), 'wait', name)
  for (let status = 100; status < 600; status++) {
    const expected = status === 401 ? 'over' : 'wait'
    if (verdict(status, code('invalid_refresh_token')) !== expected) t.fail(`${status} with the code`)
    if (verdict(status, '') !== 'wait') t.fail(`${status} without a body`)
    if (status !== 200 && verdict(status, good()) !== 'wait') t.fail(`${status} with tokens`)
  }
})

t.test('an answer is taken only when it is whole', async (t) => {
  const CASES: [what: string, text: string, cookie: string, body: string][] = [
    ['a token response', good(), 'renewed', 'renewed'],
    ['with unknown members', good({ later: 1 }), 'renewed', 'renewed'],
    ['a varied life', good({ expires_in: 583.5 }), 'renewed', 'renewed'],
    ['without a refresh token', good({ refresh_token: undefined }), 'renewed', 'wait'],
    ['a refresh token of another type', good({ refresh_token: 7 }), 'renewed', 'wait'],
    ['an empty refresh token', good({ refresh_token: '' }), 'renewed', 'wait'],
    ['a captive portal', '<!doctype html><title>Hotel</title>', 'wait', 'wait'],
    ['half of it', good().slice(0, 40), 'wait', 'wait'],
    ['nothing', '', 'wait', 'wait'],
    ['null', 'null', 'wait', 'wait'],
    ['a list', `[${good()}]`, 'wait', 'wait'],
    ['a text', '"a.b.c"', 'wait', 'wait'],
    ['no access token', good({ access_token: undefined }), 'wait', 'wait'],
    ['an access token that ends a header line', good({ access_token: 'a\r\nx: y' }), 'wait', 'wait'],
    ['an access token with a space', good({ access_token: 'a b' }), 'wait', 'wait'],
    ['an empty access token', good({ access_token: '' }), 'wait', 'wait'],
    ['a list of tokens', good({ access_token: ['a.b.c'] }), 'wait', 'wait'],
    ['no life', good({ expires_in: undefined }), 'wait', 'wait'],
    ['a life of nothing', good({ expires_in: 0 }), 'wait', 'wait'],
    ['a negative life', good({ expires_in: -600 }), 'wait', 'wait'],
    ['a life in words', good({ expires_in: 'soon' }), 'wait', 'wait'],
    ['an object as life', good({ expires_in: {} }), 'wait', 'wait'],
  ]
  for (const [what, text, cookie, body] of CASES)
    t.same([verdict(200, text, true), verdict(200, text, false)], [cookie, body], what)
})

t.test('no answer at all is no end either, and a life has a limit', async (t) => {
  t.equal(judgeRefresh({ status: 0, failure: new SignetClientError('network_error') }, true), 'wait')
  t.equal(judgeRefresh({ status: 0, failure: new SignetClientError('timeout') }, false), 'wait')
  t.match(judgeRefresh(read(200, good({ expires_in: 1e12 })), true), { lifeMs: 86_400_000 })
  t.match(judgeRefresh(read(200, good({ expires_in: 0.5 })), true), { lifeMs: 500 })
})

t.test('Retry-After is read as seconds and as a date, and never locks anybody out', async (t) => {
  const date = (ms: number) => new Date(ms).toUTCString()
  const CASES: [headers: Record<string, string>, ms: number | undefined][] = [
    [{}, undefined],
    [{ 'retry-after': '2' }, 2000],
    [{ 'retry-after': '0' }, undefined],
    [{ 'retry-after': '99999999' }, MAX_RETRY_AFTER_MS],
    [{ 'retry-after': date(NOW + 5000) }, 5000],
    [{ 'retry-after': date(NOW - 5000) }, undefined],
    [{ 'retry-after': date(NOW + 7_200_000 + 5000), date: date(NOW + 7_200_000) }, 5000],
    [{ 'retry-after': date(NOW + 5000), date: 'yesterday' }, 5000],
    [{ 'retry-after': 'soon' }, undefined],
    [{ 'retry-after': '-5' }, undefined],
    [{ 'retry-after': '1e3' }, undefined],
    [{ 'retry-after': '' }, undefined],
  ]
  for (const [headers, ms] of CASES) t.equal(read(503, '', headers).retryAfterMs, ms, JSON.stringify(headers))
})

t.test('the back-off grows, has a limit, jitters over all of its span, and adds what the server asked', async (t) => {
  t.same(
    [1, 2, 5, 6, 7, 2000].map((failures) => backOffMs(failures, 0.5)),
    [1000, 2000, 16_000, 30_000, 30_000, 30_000],
  )
  t.equal(backOffMs(3, 0), 0)
  t.equal(backOffMs(1, 0.5, 4000), 5000)
})

t.test('an error says what happened, and never holds a token', async (t) => {
  t.match(refused(read(401, JSON.stringify({ code: 'invalid_credentials', title: 'Wrong.' }))), {
    ...{ name: 'SignetClientError', code: 'invalid_credentials', status: 401, message: 'invalid_credentials: Wrong.' },
  })
  t.match(refused(read(503, '<html>')), { code: 'unexpected_answer', status: 503 })
  t.match(refused(read(429, '{"code":"too_many_requests"}', { 'retry-after': '3' })), { retryAfterMs: 3000 })
  t.match(refused(read(400, '{"code":7}')), { code: 'unexpected_answer' })
  const failure = new SignetClientError('timeout')
  t.equal(refused({ status: 0, failure }), failure)
  t.match(failure, { code: 'timeout', status: 0, problem: undefined })
  const odd = refused(read(200, good({ expires_in: 'soon' })))
  t.match(odd, { code: 'unexpected_answer', problem: undefined })
  t.notMatch(JSON.stringify({ ...odd, message: odd.message, stack: odd.stack }), /a\.b\.c|srt_1/)
})
