import t from 'tap'
import { run } from '../../support/process.ts'

t.test('the fuzzer says what it takes, and refuses what it does not know', async (t) => {
  const [help, unknown, forever, seeded] = await Promise.all([
    run(t, 'scripts/lab/fuzz/run.ts', ['--help'], {}).finished,
    run(t, 'scripts/lab/fuzz/run.ts', ['--only', 'nobody'], {}).finished,
    run(t, 'scripts/lab/fuzz/run.ts', ['--minutes', 'Infinity'], {}).finished,
    run(t, 'scripts/lab/fuzz/run.ts', ['--seed', 'x'], {}).finished,
  ])
  t.equal(help.code, 0)
  for (const name of ['guard', 'refresh', 'keyring', 'bodies', 'oauth', 'feed']) t.match(help.stdout, name)
  for (const { code, stderr } of [unknown, forever, seeded]) {
    t.equal(code, 2)
    t.match(stderr, /^fuzz: error: .+\nhint: npm run fuzz -- --help\n$/)
  }
})
