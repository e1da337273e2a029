import { execFileSync } from 'node:child_process'
import { syncBuiltinESMExports } from 'node:module'
import { mock } from 'node:test'
import v8 from 'node:v8'
import t from 'tap'
import { keepCompiledCode } from '../../../src/process/runtime-tuning.ts'

t.test('the flag is set, and this Node knows it: one that does not would take it without a word', async (t) => {
  const set = mock.method(v8, 'setFlagsFromString', () => undefined)
  syncBuiltinESMExports()
  t.teardown(() => {
    mock.reset()
    syncBuiltinESMExports()
  })
  keepCompiledCode()
  const [flag = 'nothing'] = set.mock.calls[0]?.arguments ?? []
  const known = execFileSync(process.execPath, ['--v8-options'], { encoding: 'utf8' })
  t.match(flag, /^--no-/)
  t.ok(known.includes(`  --${flag.slice('--no-'.length)} (`), flag)
})
