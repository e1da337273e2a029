import t from 'tap'
import { login, logout, register, run, startServer } from '../../support/service.ts'

// `signet-verifier explain` as it is started in this repository, against a server.

t.test('explain: a good token, one of a session that ended, one on the command line', async (t) => {
  const server = await startServer(t)
  const ISSUER = server.url
  const PERSON = 'ada@example.com'
  await register(server, PERSON)
  const { access } = await login(server, PERSON)
  const explain = (stdin: string, ...more: string[]) => {
    const args = ['explain', '--issuer', ISSUER, '--audience', ISSUER, ...more]
    return run(t, 'src/verifier/explain/explain-bin.ts', args, {}, stdin).finished
  }
  const good = await explain(`${access}\n`)
  t.match(good, { code: 0, stderr: '', stdout: /^Result: good\.$/m })
  await logout(server, { access })
  let ended = await explain(access)
  while (ended.code === 0) ended = await explain(access)
  t.match(ended, { code: 1, stderr: '', stdout: /^Result: REFUSED, revoked_session; /m })
  const shown = await explain('', access)
  t.match(shown, { code: 2, stdout: '', stderr: /history of the shell/ })
  for (const { stdout, stderr } of [good, ended, shown])
    for (const part of access.split('.')) t.notOk((stdout + stderr).includes(part))
})
