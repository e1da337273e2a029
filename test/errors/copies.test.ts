import t from 'tap'
import { AppError } from '../../src/errors/app-error.ts'
import { UnknownKid } from '../../src/tokens/verify.ts'
import { toResponse } from '../../src/verifier/index.ts'

// A bundler may put the module of the errors into several bundles of one process.
const copyUrl = new URL('../../src/errors/app-error.ts?copy', import.meta.url).href
const copy: { AppError: typeof AppError } = await import(copyUrl)

t.test('an error of another copy is the same error', async (t) => {
  t.not(copy.AppError, AppError, 'there are two')
  const foreign = new copy.AppError('insufficient_scope', { challengeParameters: { scope: 'a' } })
  t.ok(foreign instanceof AppError && new AppError('internal') instanceof copy.AppError)
  const { status, headers, body } = toResponse(foreign)
  t.equal(status, 403)
  t.match(headers['www-authenticate'], 'scope="a"')
  t.equal(JSON.parse(body).code, 'insufficient_scope')
})

t.test('an error of another kind is not, whatever its name is', async (t) => {
  class Named extends Error {
    override readonly name = 'AppError'
    readonly code = 'insufficient_scope'
    readonly detail = 'password=hunter2'
  }
  for (const other of [new Named(), new Error('x'), new TypeError('x'), null, undefined, 'AppError', 7, {}]) {
    t.notOk((other as unknown) instanceof AppError, String(other))
    t.equal(toResponse(other).status, 500, String(other))
    t.notMatch(toResponse(other).body, 'hunter2')
  }
  t.notOk((new AppError('invalid_token') as unknown) instanceof UnknownKid, 'nor is each one of a subclass')
  t.ok(new UnknownKid('k') instanceof AppError && (new UnknownKid('k') as unknown) instanceof UnknownKid)
})

t.test('the brand alone shows nothing of an object: a copy of another version may have other codes', async (t) => {
  const BRAND = Symbol.for('signet.error')
  const own = { [BRAND]: true, headers: { 'set-cookie': 'a=1' }, detail: 'hunter2' }
  for (const code of ['a_code_of_tomorrow', 'toString', '__proto__', '', undefined, ['internal'], { toString: null }]) {
    const { status, headers, body } = toResponse({ ...own, code })
    t.equal(status, 500, String(code && typeof code))
    t.notOk('set-cookie' in headers)
    t.notMatch(body, 'hunter2')
  }
  const inherited: { status: number } = toResponse(Object.create({ ...own, code: 'invalid_token' }))
  t.equal(inherited.status, 500, 'a prototype that was polluted')
})
