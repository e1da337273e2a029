import fc from 'fast-check'
import t from 'tap'
import { isEmail, maskedEmail, normaliseEmail, storedSpellings } from '../../src/accounts/account.ts'
import { checkNewPassword, normalisePassword } from '../../src/accounts/password-rules.ts'
import { AppError } from '../../src/errors/app-error.ts'
import { anyText } from '../support/any-text.ts'

t.test('normalising an email twice changes nothing more', async () => {
  fc.assert(fc.property(anyText(), (text) => normaliseEmail(normaliseEmail(text)) === normaliseEmail(text)))
})

t.test('a domain has one form, and what is no domain is refused in every form', async (t) => {
  const SAME: [one: string, ...spellings: string[]][] = [
    [
      'user@xn--bcher-kva.example',
      'user@bücher.example',
      'User@BÜCHER.example',
      'user@bu\u0308cher.example',
      'user@XN--BCHER-KVA.example',
      ' user@bücher．example',
      'user@bücher｡example',
    ],
    ['user@xn--r8jz45g.example', 'user@例え.example', 'user@例え。example'],
    ['user@example.com', 'user@ｅxample.com', 'user@example。com'],
    ['user@xn--fa-hia.de', 'user@faß.de'],
    ['user@xn--4gbrim.xn----ymcbaaajlc6dj7bxne2c.xn--wgbh1c', 'user@موقع.وزارة-الاتصالات.مصر'],
    ['jürgen@xn--bcher-kva.example', 'jürgen@bücher.example'],
  ]
  for (const [one, ...spellings] of SAME) {
    for (const spelling of [one, ...spellings]) t.equal(normaliseEmail(spelling), one, spelling)
    t.ok(isEmail(one), one)
  }
  for (const text of [
    'a@bü/x.example',
    'a@bü?x.example',
    'a@bü#x.example',
    'a@bü:80',
    'a@bü\\x.example',
    'a@bü%63her.example',
    'a@b%C3%BCcher.example',
    'a@bü\tcher.example',
    'a@bü cher.example',
    'a@büc\u00adher.example',
    'a@bü\u200dcher.example',
    'a@bücher.example.',
    'a@bücher..example',
    'a@-bücher.example',
    'a@xn--a',
    'a@bücher-.example',
    'a@xn--bcher-kva-.example',
    'a@xn---bcher-p2a.example',
    'a@xn--bücher',
    'a@１',
    'a@１.２.３',
    'a@1.2.3',
    'a@ex%61mple.com',
    'a@/ü',
  ])
    t.notOk(isEmail(normaliseEmail(text)), text)
  t.same(storedSpellings('Ada@Example.com'), ['ada@example.com'])
  t.same(storedSpellings('ada@bücher.example'), ['ada@bücher.example', 'ada@xn--bcher-kva.example'])
  t.same(storedSpellings('ada@xn--bcher-kva.example'), ['ada@xn--bcher-kva.example', 'ada@bücher.example'])
})

t.test('no email has more than three spellings, and the one form is among them', async () => {
  const domains = fc.oneof(
    anyText(),
    fc.constantFrom('bücher.example', '例え。example', 'ｅx.com', 'xn--bcher-kva.x', 'faß.de'),
  )
  fc.assert(
    fc.property(anyText(), domains, (local, domain) => {
      const email = `${local}@${domain}`
      const one = normaliseEmail(email)
      const spellings = storedSpellings(email)
      return normaliseEmail(one) === one && spellings.length <= 3 && spellings.includes(one)
    }),
  )
})

t.test('no text makes the email rule throw, and what it takes has one @', async () => {
  fc.assert(fc.property(anyText({ maxLength: 400 }), (text) => !isEmail(text) || text.split('@').length === 2))
})

t.test('the password rule accepts or refuses every text, and judges by the normalised form', async () => {
  const rules = { minLength: 8, isCommon: async (text: string) => text === 'sunshine' }
  const verdict = (password: string) =>
    checkNewPassword(password, 'ada@example.com', rules).then(
      () => 'accepted',
      (error) => (error instanceof AppError ? error.detail : error),
    )
  await fc.assert(
    fc.asyncProperty(anyText({ maxLength: 600 }), async (password) => {
      const outcome = await verdict(password)
      return typeof outcome === 'string' && outcome === (await verdict(normalisePassword(password)))
    }),
  )
})

t.test('of an address the audit trail has the first character and the domain', async (t) => {
  const CASES: [email: string, masked: string][] = [
    ['ada@example.com', 'a…@example.com'],
    ['a@example.com', 'a…@example.com'],
    ['𝒳y@example.com', '𝒳…@example.com'],
    ['"a@b"@example.com', '"…@example.com'],
  ]
  for (const [email, masked] of CASES) t.equal(maskedEmail(email), masked)
})
