import { rename, writeFile } from 'node:fs/promises'
import type { Test } from 'tap'
import { revokedInStore } from '../../../scripts/cli/revoked-in-store.ts'
import { loadConfig } from '../../../src/config/config.ts'
import { runScript } from '../../support/scripts.ts'
import { getMe, login as loginOn, partOf, type ServerProcess } from '../../support/service.ts'

// What the tests of running servers and their keys folders ask and do.

export const EMAIL = 'ada@example.com'

export const login = async (server: ServerProcess): Promise<string> => (await loginOn(server, EMAIL)).access
export const kidOf = (token: string) => partOf(token, 0).kid
export const me = async (server: ServerProcess, access: string) => (await getMe(server, { access })).status
export const kids = async ({ url }: ServerProcess) =>
  ((await (await fetch(`${url}/.well-known/jwks.json`)).json()) as { keys: { kid: string }[] }).keys.map(
    ({ kid }) => kid,
  )
export const readiness = async ({ url }: ServerProcess) =>
  (await (await fetch(`${url}/health/ready`)).json()) as { status: string; checks: { keyring: string } }

/** Waits for something that must come true within the three seconds that are promised. */
export async function soon(t: Test, what: string, condition: () => Promise<boolean>, pause = 20): Promise<void> {
  const started = performance.now()
  while (!(await condition())) {
    if (performance.now() - started > 3000) return void t.fail(`${what}: not within 3 s`)
    await new Promise((resolve) => setTimeout(resolve, pause))
  }
  t.pass(`${what}: after ${Math.round(performance.now() - started)} ms`)
}

/** As one change: a truncated file would be a damage of its own. */
export async function replace(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text)
  await rename(`${path}.new`, path)
}

export async function storedRevocations({ env }: ServerProcess): Promise<string[]> {
  const stored = await revokedInStore(loadConfig({ env: { ...env, PORT: '3000' } }))
  return 'kids' in stored ? [...stored.kids] : []
}

export async function feedOf({ url }: ServerProcess): Promise<{ keys: string[] }> {
  const jws = await (await fetch(`${url}/.well-known/revocations`)).text()
  return partOf(jws, 1) as unknown as { keys: string[] }
}

export const script = (server: ServerProcess, ...args: string[]) =>
  runScript('scripts/keys.ts', args, { KEYS_DIR: String(server.env.KEYS_DIR) })

export const check = ({ env }: ServerProcess, ...args: string[]) => {
  const { KEYS_DIR = '', DATABASE_URL = '' } = env
  return runScript('scripts/keys.ts', ['check', ...args], { KEYS_DIR, DATABASE_URL })
}
