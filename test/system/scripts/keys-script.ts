import type { Test } from 'tap'
import { runScript } from '../../support/scripts.ts'
import { isolated } from '../../support/service.ts'

export const KID = '[\\w-]{43}'
export const DATE = '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ'
export const MADE_STANDBY = `made standby key ${KID}: published now, for the next rotation or an emergency`
/** The whole of what was printed, line by line. */
export const lines = (...patterns: string[]) => new RegExp(`^${patterns.join('\n')}\n$`)

/** `npm run keys` on a folder of its own. */
export async function keysScript(t: Test, settings: Record<string, string> = {}) {
  const env = { ...(await isolated(t)), ...settings }
  const dir = String(env.KEYS_DIR)
  const keys = (args: string) => runScript('scripts/keys.ts', args === '' ? [] : args.split(' '), env)
  const listed = async () =>
    JSON.parse((await keys('list --json')).stdout) as { kid: string; phase: string; private: boolean }[]
  return { keys, listed, dir, env }
}
