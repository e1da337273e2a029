import t from 'tap'
import { run } from '../../support/service.ts'

const PROGRAM = 'src/verifier/gate/signet-gate.ts'
const NOWHERE = { ISSUER: 'http://127.0.0.1:1', AUDIENCE: 'a', PORT: '0', METRICS_PORT: '0' }

t.test(
  'the gate as a process: it listens without its issuer, lets nobody in, and ends when it is told to',
  async (t) => {
    const gate = run(t, PROGRAM, [], NOWHERE)
    while (!gate.output().includes('"listening"')) await new Promise((resolve) => setTimeout(resolve, 20))
    const { url, metrics } = JSON.parse(
      gate
        .output()
        .split('\n')
        .find((line) => line.includes('listening')) ?? '',
    )
    t.equal((await fetch(`${url}/health/live`)).status, 200)
    t.equal((await fetch(`${url}/health/ready`)).status, 503)
    const header = Buffer.from('{"alg":"RS256","typ":"at+jwt","kid":"k"}').toString('base64url')
    const authorization = `Bearer ${header}.e30.AAAA`
    const reply = await fetch(url, { headers: { authorization } })
    t.same([reply.status, reply.headers.get('retry-after')], [503, '2'], 'a key that can not be asked for')
    t.match(await (await fetch(`${metrics}/metrics`)).text(), /signet_refused_total\{reason="keys_unavailable"\} 1\n/)
    gate.child.kill('SIGTERM')
    const { code, stdout } = await gate.finished
    t.equal(code, 0)
    for (const line of stdout.trim().split('\n')) t.match(JSON.parse(line), { time: /Z$/, level: /info|warn/ })
    t.match(stdout, /"event":"keys_failed".*\n[\s\S]*"event":"closing","signal":"SIGTERM"/)
    t.notOk(stdout.includes(header))
  },
)

t.test('bad settings are refused by name, before anything listens', async (t) => {
  const bad = await run(t, PROGRAM, [], { ISSUER: 'http://auth.example', AUDIENCE: '', ON_STALE: 'never' }).finished
  t.same([bad.code, bad.stdout], [1, ''])
  t.match(
    bad.stderr,
    /^signet-gate: error: AUDIENCE is empty: .*\nsignet-gate: error: ON_STALE: "never" is not accepted/,
  )
  const plain = await run(t, PROGRAM, [], { ISSUER: 'http://auth.example', AUDIENCE: 'a' }).finished
  t.match(plain, { code: 1, stderr: /^signet-gate: error: ISSUER: http:\/\/auth.example is not https/ })
})
