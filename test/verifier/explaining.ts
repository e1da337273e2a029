import type { Test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import type { Refusal } from '../../src/errors/refusals.ts'
import { explainCommand, type Outcome } from '../../src/verifier/explain/explain-command.ts'
import { TOKEN_CHECKS } from '../../src/verifier/explain/explain-texts.ts'
import { startApp } from '../support/app.ts'
import { issuerOf } from '../support/issuer.ts'
import { serverMint } from '../support/mint.ts'

/** `signet-verifier explain` without a process, and a server that it asks. */
export async function explaining(t: Test) {
  const server = await startApp(t, { env: { ISSUER: 'https://signet.example' } })
  const issuer = issuerOf(() => server.app)
  const mint = await serverMint(server, systemClock())
  const command = ['explain', '--issuer', mint.issuer, '--audience', mint.audience]
  const run = (text: string | Uint8Array, more: readonly string[] = [], fetch = issuer.fetch) =>
    explainCommand({ argv: [...command, ...more], stdin: fed(text), fetch })
  return { server, issuer, mint, command, run }
}

export async function* fed(text: string | Uint8Array): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text)
}

/** `ok`, `FAILS` or `not checked`, by check. */
export const states = ({ stdout }: Outcome) =>
  new Map([...stdout.matchAll(/^ {2}(ok|FAILS|not checked) +(\w+) /gm)].map(([, state, check]) => [check, state]))

/** Holds a report against the word that it has to give, and against the token that it must not give. */
export function holds(t: Test, outcome: Outcome, token: string, refusal: Refusal, what: string): void {
  const found = states(outcome)
  const at = TOKEN_CHECKS.indexOf(refusal as never)
  const expected = TOKEN_CHECKS.map((check, i) => [check, i < at ? 'ok' : i === at ? 'FAILS' : 'not checked'])
  t.same([...found], expected, `${refusal}: ${what}`)
  t.same([outcome.exit, outcome.stderr], [1, ''], `${refusal}: ${what}`)
  t.match(outcome.stdout, new RegExp(`^Result: REFUSED, ${refusal}; the caller is told \\d{3} \\w+\\.\n {8}\\w`, 'm'))
  tellsNo(t, outcome, token, what)
}

/** No part of the token, and nothing that moves a terminal. */
export function tellsNo(t: Test, { stdout, stderr }: Outcome, token: string, what: string): void {
  const parts = [token, ...token.split('.')].filter((part) => part.length > 20)
  t.notOk(
    parts.some((part) => (stdout + stderr).includes(part.slice(0, 200))),
    `${what}: no part of the token is printed`,
  )
  t.notMatch((stdout + stderr).replaceAll('\n', ''), /\p{Cc}|[\u2028\u2029\u202a-\u202e\u2066-\u2069]/u, what)
}
