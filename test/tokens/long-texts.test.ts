import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import t from 'tap'

t.test('a text of 16 million dots, or without any, is refused and not cut into parts', async (t) => {
  // A thread with so little memory ends when the parts are made.
  const credential = JSON.stringify(new URL('../../src/tokens/credential.ts', import.meta.url).href)
  const script = `import(${credential}).then(({ checkHeader }) => {
    const refusal = (letter) => {
      try { checkHeader(letter.repeat(2 ** 24), 'any', 2 ** 24) } catch (error) { return error.reason }
    }
    require('node:worker_threads').parentPort.postMessage([refusal('.'), refusal('a')])
  })`
  const worker = new Worker(script, { eval: true, resourceLimits: { maxOldGenerationSizeMb: 64 } })
  const [reasons] = await once(worker, 'message')
  t.same(reasons, ['the token has more than three parts', 'the header is too long'])
})
