import fc from 'fast-check'
import t from 'tap'
import { isEmail, normaliseEmail } from '../../src/accounts/account.ts'
import { checkNewPassword, normalisePassword } from '../../src/accounts/password-rules.ts'
import { AppError } from '../../src/errors/app-error.ts'
import { anyText } from '../support/any-text.ts'

t.test('normalising an email twice changes nothing more', async () => {
  fc.assert(fc.property(anyText(), (text) => normaliseEmail(normaliseEmail(text)) === normaliseEmail(text)))
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
