import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createDemoServer } from './demo-server.ts'

// npm run demo: a token server with an empty database, and an application on another origin of the same site.

const ISSUER_PORT = Number(process.env.DEMO_ISSUER_PORT ?? 3100)
const PAGE_PORT = Number(process.env.DEMO_PORT ?? 3101)
const issuer = `http://localhost:${ISSUER_PORT}`
const page = `http://localhost:${PAGE_PORT}`

const folder = mkdtempSync(join(tmpdir(), 'signet-demo-'))
const outbox = join(folder, 'outbox')
const tokenServer = startTokenServer()
process.on('exit', () => {
  tokenServer.kill('SIGKILL') // at once: it would look for the folder that goes
  rmSync(folder, { recursive: true, force: true })
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(0))

try {
  await untilReady()
  const app = await createDemoServer(issuer)
  await app.listen({ port: PAGE_PORT, host: 'localhost' })
  process.stdout.write(`\nSign up at ${page} (the token server is ${issuer}). Ctrl-C ends both; nothing is kept.\n`)
  process.stdout.write(`Messages are files, one .eml each, in ${outbox}\n\n`)
} catch (error) {
  process.stderr.write(`demo: error: ${(error as Error).message}\n`)
  process.stderr.write('hint: DEMO_PORT and DEMO_ISSUER_PORT choose other ports\n')
  process.exit(1)
}

/** Resolves when the token server can issue tokens. A server that fails ends the demo itself. */
async function untilReady(): Promise<void> {
  const isReady = () =>
    fetch(`${issuer}/health/ready`).then(
      ({ ok }) => ok,
      () => false,
    )
  while (!(await isReady())) await delay(100)
}

/** The server as `npm start` runs it, with a folder of its own. When it ends, the demo ends. */
function startTokenServer(): ChildProcess {
  const server = spawn(process.execPath, ['--import', './src/require-node.js', 'src/server.ts'], {
    cwd: fileURLToPath(new URL('../../', import.meta.url)),
    env: {
      ...process.env,
      PORT: String(ISSUER_PORT),
      ISSUER: issuer,
      AUDIENCE: issuer,
      CORS_ORIGINS: page,
      APP_URL: page,
      MAIL_URL: `file:${outbox}`,
      KEYS_DIR: join(folder, 'keys'),
      DATABASE_URL: `sqlite:${join(folder, 'signet.db')}`,
      LOG_LEVEL: 'warn',
    },
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  once(server, 'exit').then(([code]) => process.exit(code ?? 1))
  return server
}
