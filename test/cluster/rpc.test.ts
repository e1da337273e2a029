import t from 'tap'
import { type Calls, createRpc, NoAnswer } from '../../src/cluster/rpc.ts'

/** Two processes' ends of a channel that the test can cut. */
function wired(calls: Calls, { mostOpen = 100, wire = (deliver: () => void) => deliver() } = {}) {
  const here = createRpc<{ double: (n: number) => number; constructor: () => void; fail: () => void }>({
    send: (message) => wire(() => there.receive(structuredClone(message))),
    calls: {},
    mostOpen,
  })
  const there = createRpc({ send: (message) => here.receive(structuredClone(message)), calls })
  return here
}

const double = (n: number) => 2 * n
const fail = () => {
  throw new Error('a secret')
}

t.test('an answer comes to its question, whatever the order', async (t) => {
  const holds: (() => void)[] = []
  const rpc = wired({ double: (n: number) => (n === 1 ? new Promise((go) => holds.push(() => go(2))) : double(n)) })
  const slow = rpc.call('double', [1], { timeoutMs: 10_000 })
  t.equal(await rpc.call('double', [21], { timeoutMs: 10_000 }), 42)
  holds[0]?.()
  t.equal(await slow, 2)
})

t.test('what the other end throws stays there; what it was never given does not exist, inherited or not', async (t) => {
  const rpc = wired({ double, fail })
  await t.rejects(rpc.call('fail', [], { timeoutMs: 10_000 }), {
    name: 'NoAnswer',
    message: 'the other process failed',
  })
  await t.rejects(rpc.call('constructor', [], { timeoutMs: 10_000 }), NoAnswer)
})

t.test('no call waits longer than its timeoutMs, and a late answer is reported', async (t) => {
  let answer = () => {}
  const rpc = wired({ double: (n: number) => new Promise((go) => (answer = () => go(double(n)))) })
  const late = new Promise((resolve) => {
    rpc.call('double', [4], { timeoutMs: 1, late: resolve }).catch(() => answer())
  })
  t.equal(await late, 8)
})

t.test('open questions are bounded, those that nobody waits for included', async (t) => {
  const rpc = wired({}, { mostOpen: 2, wire: () => undefined })
  for (let i = 0; i < 2; i += 1) await t.rejects(rpc.call('double', [1], { timeoutMs: 1 }), /does not answer/)
  await t.rejects(rpc.call('double', [1], { timeoutMs: 10_000 }), /too many/)
})

t.test('when the other end goes, whoever waits learns it at once, and so does everybody after', async (t) => {
  const rpc = wired({}, { wire: () => undefined })
  const asked = rpc.call('double', [1], { timeoutMs: 10_000 })
  rpc.close()
  await t.rejects(asked, /gone/)
  await t.rejects(rpc.call('double', [1], { timeoutMs: 10_000 }), /gone/)
})

t.test('a closed channel is a refusal, and leaves nothing open', async (t) => {
  const broken = () => {
    throw new Error('channel closed')
  }
  const rpc = wired({}, { mostOpen: 1, wire: broken })
  for (let i = 0; i < 3; i += 1) await t.rejects(rpc.call('double', [1], { timeoutMs: 10_000 }), /channel closed/)
})

t.test('messages of others are left alone', async (t) => {
  const rpc = wired({})
  for (const message of [undefined, null, 1, 'x', {}, { answer: 7 }, { answer: 'x' }, { call: 3 }, { cmd: 'NODE_x' }])
    rpc.receive(message)
  t.pass('nothing was thrown')
})
