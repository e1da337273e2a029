import t from 'tap'
import { loadConfig } from '../../src/config/config.ts'
import { announce } from '../../src/process/boot.ts'

t.test('in production without MAIL_URL the start says that nothing is sent, once', async (t) => {
  const production = { NODE_ENV: 'production', ISSUER: 'https://auth.example.com', APP_URL: 'https://app.example.com' }
  const cases: [env: Record<string, string>, warnings: number][] = [
    [production, 1],
    [{ ...production, MAIL_URL: 'smtps://mail.example.com' }, 0],
    [{}, 0],
  ]
  for (const [env, warnings] of cases) {
    const warned: unknown[] = []
    const log = { warn: (line: unknown) => void warned.push(line), info: () => undefined }
    announce(log as unknown as Parameters<typeof announce>[0], loadConfig({ env }))
    t.equal(warned.length, warnings, JSON.stringify(env))
    if (warnings > 0) t.match(warned[0], /^no message is sent: MAIL_URL is not set/)
  }
})
