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

t.test('a line of a Fetch request is read once, however many spaces are in it', async (t) => {
  // Two million spaces. To search them anew from each one would take hours: the test would end by its time limit.
  const credential = JSON.stringify(new URL('../../src/tokens/credential.ts', import.meta.url).href)
  const script = `import(${credential}).then(({ requestToken }) => {
    const spaces = ' '.repeat(2 ** 21)
    const outcome = (authorization) => {
      try { return requestToken({ headers: new Headers({ authorization }) }) } catch (error) { return error.code }
    }
    const lines = ['Bearer x' + spaces + 'y', 'Bearer x,' + spaces + ',y', 'Bearer x,' + spaces + 'bearer y']
    require('node:worker_threads').parentPort.postMessage(lines.map(outcome))
  })`
  const worker = new Worker(script, { eval: true })
  t.teardown(() => worker.terminate())
  const [codes] = await once(worker, 'message')
  t.same(codes, ['invalid_token', 'invalid_request', 'invalid_request'])
})
