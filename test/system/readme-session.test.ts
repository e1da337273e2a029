import { execFile, spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import t from 'tap'
import { startServer } from '../support/service.ts'

const missing = ['bash', 'curl', 'sed'].filter((program) => spawnSync(program, ['--version']).error)

t.test(
  'the curl session of the README runs as printed',
  { skip: missing.length > 0 && `this machine has no ${missing}` },
  async (t) => {
    const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8')
    const [, printed = ''] = /## A session with curl\n+```sh\n(.*?)```/s.exec(readme) ?? []
    t.match(printed, 'SIGNET=http://127.0.0.1:3000\n')

    const server = await startServer(t)
    const { stdout, stderr } = await promisify(execFile)('bash', [
      '-eu',
      '-c',
      printed.replace('http://127.0.0.1:3000', server.url),
    ])
    t.equal(stderr, '')
    t.match(stdout, /"id":"acc_[\w-]{22}","email":"ada@example\.com"/, 'registered')
    t.match(stdout, /"sub":"acc_[\w-]{22}","client_id":"signet"/, 'the token opened the route')
    t.match(stdout, /HTTP\/1\.1 401 .*"code":"missing_token"/s, 'without it the route is closed')
    t.match(stdout, /\{"keys":\[\{"kty":"RSA"/, 'the public keys')
  },
)
