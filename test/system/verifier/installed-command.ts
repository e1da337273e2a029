import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { run } from '../../support/service.ts'

/** What `npx signet-verifier explain` runs. */
export async function explains(t: Test, folder: string, issuer: string, token: string): Promise<void> {
  const program = join(folder, 'node_modules/.bin/signet-verifier')
  t.ok((await stat(program)).mode & 0o100, 'npm made it executable')
  t.match(await readFile(program, 'utf8'), /^#!\/usr\/bin\/env node\n/)
  const explain = (stdin: string) => run(t, program, ['explain', '--issuer', issuer, '--audience', issuer], {}, stdin)
  t.match(await explain(token).finished, { code: 0, stderr: '', stdout: /^Result: good\.$/m })
  t.match(await explain('x').finished, { code: 1, stderr: '', stdout: /^Result: REFUSED, malformed; /m })
}
