import t from 'tap'
import { runScript } from '../../support/scripts.ts'

t.test('the fuzzer says what it takes, and refuses what it does not know', async (t) => {
  const fuzz = (...args: string[]) => runScript('scripts/lab/fuzz/run.ts', args)
  const { code, stdout } = await fuzz('--help')
  t.equal(code, 0)
  for (const name of ['guard', 'refresh', 'keyring', 'bodies', 'oauth', 'feed']) t.match(stdout, name)
  for (const args of [
    ['--only', 'nobody'],
    ['--minutes', 'Infinity'],
    ['--seed', 'x'],
  ]) {
    const { code, stderr } = await fuzz(...args)
    t.equal(code, 2)
    t.match(stderr, /^fuzz: error: .+\nhint: npm run fuzz -- --help\n$/)
  }
})
