import fc from 'fast-check'
import t from 'tap'
import {
  bindingOf,
  codeHashesOf,
  LIFETIME_SECONDS,
  mintOneTimeToken,
  normaliseCode,
  type Purpose,
  tokenHashOf,
} from '../../src/recovery/one-time-token.ts'
import { anyText } from '../support/any-text.ts'

const NOW = 1_800_000_000
const ALPHABET = '23456789ABCDEFGHJKMNPQRSTVWXYZ'
const key = (id: string, signFrom: number) => ({ id, signFrom, secret: Buffer.alloc(32, id) })
const [OLD, PRESENT, NEXT] = [key('old', NOW - 1000), key('present', NOW - 10), key('next', NOW + 10)]
const BY = { purpose: 'recovery', accountId: 'acc_a', email: 'ada@example.com', boundTo: 'b', now: NOW } as const
const minted = (keys = [OLD, PRESENT]) => mintOneTimeToken({ ...BY, keys })

t.test(
  'a token has 256 random bits, a code eight characters that nobody confuses, and neither is stored',
  async (t) => {
    const many = Array.from({ length: 200 }, () => minted())
    for (const { token, code, row } of many) {
      if (!/^sot_[\w-]{43}$/.test(token)) t.fail(token)
      if (!/^[2-9A-HJKMNP-TV-Z]{4}-[2-9A-HJKMNP-TV-Z]{4}$/.test(code) || /[01OILU]/.test(code)) t.fail(code)
      const stored = JSON.stringify(row)
      if ([token, token.slice(4), code, code.replace('-', '')].some((secret) => stored.includes(secret)))
        t.fail(`${token} or ${code} is in ${stored}`)
      if (row.tokenHash !== tokenHashOf(token)) t.fail(`${row.tokenHash} is not the hash of ${token}`)
    }
    for (const what of ['token', 'code'] as const) t.equal(new Set(many.map((one) => one[what])).size, many.length)
  },
)

t.test('each purpose has its life', async (t) => {
  const lives = Object.keys(LIFETIME_SECONDS).map((purpose) => {
    const { row } = mintOneTimeToken({ ...BY, purpose: purpose as Purpose, keys: [PRESENT] })
    return [purpose, row.expiresAt - row.createdAt]
  })
  t.same(Object.fromEntries(lives), {
    recovery: 900,
    invitation: 604_800,
    registration: 86_400,
    email_change: 900,
    email_change_undo: 604_800,
    not_me: 604_800,
  })
})

t.test('a code fits however it is typed, and only with its address and a key that made it', async (t) => {
  const { row, code } = minted()
  const fits = (typed: string, { email = BY.email as string, keys = [OLD, PRESENT, NEXT] } = {}) =>
    codeHashesOf(keys, email, typed).includes(row.codeHash ?? '')
  const bare = code.replace('-', '')
  for (const typed of [code, bare, code.toLowerCase(), ` ${code} `, [...bare].join(' '), bare.replace(/../g, '$&-')])
    t.ok(fits(typed), typed)
  t.notOk(fits(code, { email: 'eve@example.com' }))
  t.notOk(fits(code, { keys: [OLD, NEXT] }), 'its key was revoked')
  for (const typed of ['', bare.slice(1), `${bare}2`, `${bare.slice(1)}0`, 'ÀÀÀÀÀÀÀÀ', 'no code', '2'.repeat(4000)])
    t.notOk(fits(typed), typed.slice(0, 20))
  t.equal(codeHashesOf([OLD, PRESENT], BY.email, '').length, 2, 'what is no code costs the same')
})

t.test('what is no code is never taken for one', async (t) => {
  const isCode = /^[2-9A-HJKMNP-TV-Z]{8}$/
  fc.assert(
    fc.property(anyText({ maxLength: 12 }), (typed) => {
      const code = normaliseCode(typed)
      return code === undefined || isCode.test(code)
    }),
  )
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...ALPHABET), { minLength: 8, maxLength: 8 }), fc.nat(8), (letters, at) => {
      const code = letters.join('')
      const typed = `${code.slice(0, at)} -${code.slice(at)}`.toLowerCase()
      return normaliseCode(typed) === code
    }),
  )
  t.pass('in a hundred runs each')
})

t.test('a binding changes with the password and with the address, and with nothing else', async (t) => {
  const account = fc.record({ passwordHash: fc.string(), email: fc.string() })
  fc.assert(
    fc.property(account, account, (a, b) => {
      const same = a.passwordHash === b.passwordHash && a.email === b.email
      return (bindingOf(a) === bindingOf(b)) === same
    }),
  )
  const moved = bindingOf({ passwordHash: 'ab', email: 'c' }) !== bindingOf({ passwordHash: 'a', email: 'bc' })
  t.ok(moved, 'no character moves from one to the other')
})

t.test('without a refresh key nothing is made', async (t) => {
  t.throws(() => mintOneTimeToken({ ...BY, keys: [] }), TypeError)
})
