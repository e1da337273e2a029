import t from 'tap'
import { loadConfig } from '../../src/config/config.ts'

// Settings of messages that a start refuses: otherwise nobody would notice before people wait for their mail.

const REFUSED: Record<string, readonly string[]> = {
  MAIL_URL: [
    'smtp://user:100%@mail.example.com', // no percent-encoding: the password can't be read
    'smtp://user:s3%ff@mail.example.com',
    'smtp://us%er:s3cret@mail.example.com',
    'smtp://user:s3/cret@mail.example.com',
    'smtp://mail.example.com/?tls=off',
    'smtp://mail.example.com\r\nX: y',
    'http://mail.example.com',
    'https://user:s3cret@mail.example.com',
    'file:',
    'mail.example.com',
  ],
  MAIL_FROM: ['a@b.example, c@d.example', 'N <a@b.example>\r\nBcc: c@d.example', 'N <a b@c.example>', 'N'],
  LINK_RECOVER: ['/recover?token={token}', '/recover#token', '//evil.example/#{token}', 'javascript:x#{token}'],
}
for (const [name, values] of Object.entries(REFUSED))
  t.test(`${name} is refused by name, and a password in it is not repeated`, async (t) => {
    for (const value of values) {
      const { message } = t.throws(() => loadConfig({ env: { [name]: value, MAIL_WEBHOOK_SECRET_FILE: 'x' } }), {
        message: new RegExp(`${name}`),
      }) as Error
      t.notMatch(message, /s3|cret|100%/, value)
    }
  })

t.test('a percent-encoded password is taken', async (t) => {
  const MAIL_URL = 'smtps://user%40example.com:100%25%2F@mail.example.com'
  t.equal(loadConfig({ env: { MAIL_URL } }).MAIL_URL, MAIL_URL)
})
