import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import { systemClock } from '../../../src/clock.ts'
import { startApp, temporaryFolder } from '../../support/app.ts'
import { issuerOf } from '../../support/issuer.ts'
import { serverMint } from '../../support/mint.ts'
import { ROOT, run } from '../../support/service.ts'

// A verifier must not be the reason that a process lives: scripts end without close(), and servers when they close.

const MODULE = pathToFileURL(join(ROOT, 'src/verifier/index.ts')).href

/** A process that is held up ends with 9. */
const HEAD = `
  import { createVerifier } from '${MODULE}'
  setTimeout(() => process.exit(9), 15_000).unref()
  const { ISSUER, AUDIENCE, AT, TOKEN } = process.env
  const events = []
  const onEvent = ({ type }) => events.push(type)
  const uris = { jwksUri: AT + '/.well-known/jwks.json', revocationsUri: AT + '/.well-known/revocations' }
  const options = { issuer: ISSUER, audience: AUDIENCE, ...uris, revocations: true, timeout: 1500, onEvent }
  const verifier = createVerifier(options)
  const verdict = () => verifier.verify(TOKEN).then(() => 'good', ({ code }) => code)`

const HYDRATED = 'keys_fetched,revocations_applied\n'

/** What a program does, and what it prints. */
const CASES: [what: string, mute: boolean, program: string, stdout: string][] = [
  ['a script that made a verifier and does nothing with it', false, '', ''],
  ['a script that never closes its verifier', false, 'console.log(await verdict())', 'good\n'],
  [
    'a long poll is under way',
    false,
    `console.log(await verdict())
     await new Promise((resolve) => setTimeout(resolve, 1000)) // the poll begins after a pause of 0.25 s`,
    'good\n',
  ],
  [
    'a token is watched',
    false,
    `verifier.watch(await verifier.verify(TOKEN), console.log)
     await new Promise((resolve) => setTimeout(resolve, 1100)) // until the watch has looked at its clocks`,
    '',
  ],
  [
    'a server that closes, with its verifier still open',
    false,
    `const server = (await import('node:http')).createServer().listen(0, '127.0.0.1')
     console.log(await verdict())
     setTimeout(() => server.close(), 1000)`,
    'good\n',
  ],
  ['an issuer that never answers, and nobody waits', true, '', ''],
  ['an issuer that never answers, and somebody waits', true, 'console.log(await verdict())', 'keys_unavailable\n'],
  ['somebody waits for the keys', false, 'await verifier.hydrate(); console.log(events.sort().join())', HYDRATED],
  [
    'the connection of a poll, used by somebody else: who waits for that is waited for',
    false,
    `console.log(await verdict())
     await fetch(AT + '/slow').then((reply) => reply.text()).then(console.log)`,
    'good\nslow\n',
  ],
]

t.test('the process ends by itself', async (t) => {
  const issuers = { answering: await issuer(t, false), mute: await issuer(t, true) }
  for (const [what, mute, program, stdout] of CASES) {
    await t.test(what, async (t) => {
      const { at, mint } = mute ? issuers.mute : issuers.answering
      const file = join(await temporaryFolder(t), 'program.mjs')
      await writeFile(file, `${HEAD}\n${program}`)
      const env = { ISSUER: mint.issuer, AUDIENCE: mint.audience, AT: at, TOKEN: mint.token() }
      const { code, stdout: printed, stderr } = await run(t, file, [], env).finished
      t.same({ code, printed, stderr }, { code: 0, printed: stdout, stderr: '' })
    })
  }
})

/** An issuer on a socket, whose long polls are never answered. `mute`: nothing is answered. */
async function issuer(t: Test, mute: boolean) {
  const server = await startApp(t)
  const { fetch } = issuerOf(() => server.app)
  const listener = createServer(async ({ url = '' }, reply: ServerResponse) => {
    if (url === '/slow') return setTimeout(() => reply.end('slow'), 500)
    if (mute || url.includes('wait=')) return undefined
    const answer = await fetch(`http://x${url}`)
    const headers = ['etag', 'content-type'].map((name) => [name, answer.headers.get(name) ?? ''] as const)
    return reply.writeHead(answer.status, Object.fromEntries(headers)).end(await answer.text())
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  t.teardown(() => {
    listener.closeAllConnections()
    listener.close()
  })
  const at = `http://127.0.0.1:${(listener.address() as AddressInfo).port}`
  return { at, mint: await serverMint(server, systemClock()) }
}
