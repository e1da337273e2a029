import './no-domains.ts'
import './quick-derivations.ts'
import './quick-keys.ts'
import './quick-threads.ts'
import { globSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'

// A process of its own for every test file would spend most of its time on loading the server and compiling its
// schemas. So the files of a group are loaded one after the other into one process: `test/groups/<name>.ts`. Each of
// them still runs alone.

const TEST = fileURLToPath(new URL('..', import.meta.url))

/**
 * Patterns below test/: of several that fit a file the last one decides, and a file that none of them fits is of an
 * `-others`.
 */
const GROUPS = {
  'fast-others': ['**'],
  'fast-tokens': ['{tokens,attacks,verifier,revocations}/**'],
  // db/pooler-errors loads the driver of PostgreSQL, and db/sqlite asks that nothing in its process did.
  'fast-people': ['{accounts,administration,audit,keys,limits,recovery,sessions}/**', 'db/pooler-errors*'],
  'fast-timeouts': [
    'revocations/{feed-signing,feed-waits,silent-store,write-back}*',
    'verifier/{feed-order,following,plugin-start,remote-keys,unknown-kids}*',
  ],
  // In-process, and left out of the developer's loop because each of them takes seconds.
  thorough: [
    'administration/{audit,machine}*',
    'attacks/{fuzz,credential}*',
    'client/real-server*',
    'http/{bounded-fetch,browser,connections,docs,issuer-path}*',
    'keys/{encrypted-pem,keys-folder,passphrase,refresh-keys}*',
    'limits/{load,front-door,password-attempts}*',
    'observability/metrics*',
    'revocations/{staleness,streamed-whole}*',
    'sessions/refresh-model*',
    'tokens/refusals*',
    'verifier/{attacks,explain,fastify,feed-log,feed-model,gate.,refusals,shared-look,web-path}*',
  ],
  'thorough-timeouts': ['verifier/{on-demand,store-,watch-net}*'],
  'system-others': ['system/**'],
  'system-scripts': ['system/{keys,scripts}/**'],
  // With those that need PostgreSQL of the folders above: a group that has none starts none.
  'system-nodes': ['system/nodes/**', 'system/{keys/revoked-key-store,scripts/{after-restore,sessions}}*'],
  'system-stores': ['system/{accounts,administration,clients,db,messages,oauth,recovery,revocations,sessions}/**'],
} satisfies Readonly<Record<string, readonly string[]>>

export type Group = keyof typeof GROUPS
export const groups = Object.keys(GROUPS) as Group[]

/** The test files of a group, in order: paths below test/. */
export function filesOf(group: Group): string[] {
  const groupOf = new Map<string, Group>()
  for (const name of groups)
    for (const file of globSync(GROUPS[name], { cwd: TEST }))
      if (file.endsWith('.test.ts')) groupOf.set(file.replaceAll('\\', '/'), name)
  return [...groupOf.keys()].filter((file) => groupOf.get(file) === group).sort()
}

/** Runs the test files of a group in this process. */
export async function runGroup(group: Group): Promise<void> {
  // A file is loaded within a test, which waits behind those of the file before: while none is there to run, tap
  // would end.
  for (const file of filesOf(group)) {
    await t.test(`test/${file}`, async (t) => {
      await import(`../${file}`)
      t.pass('is loaded')
    })
  }
}
