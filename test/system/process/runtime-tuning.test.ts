import { execFileSync } from 'node:child_process'
import { syncBuiltinESMExports } from 'node:module'
import { mock } from 'node:test'
import v8 from 'node:v8'
import t from 'tap'
import { keepCompiledCode } from '../../../src/process/runtime-tuning.ts'

const FLAG = 'memory-reducer-favors-memory'

t.test('the flag is set where V8 knows it, and only there: elsewhere V8 complains at every start', async (t) => {
  const set = mock.method(v8, 'setFlagsFromString', () => undefined)
  syncBuiltinESMExports()
  t.teardown(() => {
    mock.reset()
    syncBuiltinESMExports()
  })
  keepCompiledCode()
  const options = execFileSync(process.execPath, ['--v8-options'], { encoding: 'utf8' })
  const known = options.includes(`  --${FLAG} (`)
  t.same(
    set.mock.calls.map((call) => call.arguments),
    known ? [[`--no-${FLAG}`]] : [],
    `${process.version} ${known ? 'knows' : 'does not know'} the flag`,
  )
})
