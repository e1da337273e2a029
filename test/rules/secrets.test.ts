import { glob, readFile } from 'node:fs/promises'
import t from 'tap'

// Secrets are compared in constant time, or looked up by a hash. The time of an answer must not tell how much of a
// guess was right.

const SECRET =
  /(secret|mac|hmac|digest|signature|password|passphrase|refresh_?token|access_?token|assertion|hash|given)$/i
const HARMLESS = /^(undefined|null|true|false|-?\d[\d_]*|['"`].*|.*\.length|typeof)$/
const COMPARISON = /([\w.?]+(?:\([^()]*\))?)\s*[!=]==?\s*('[^']*'|[\w.?]+(?:\([^()]*\))?)/g
const CALL = /([\w.?]+)\.(?:equals|includes|indexOf|startsWith|endsWith|localeCompare|compare)\((?!['"`])/g

/** The part of a line that compares a secret with a plain operator. */
function plainComparisons(line: string): string[] {
  if (/^\s*(\*|\/\/|\/\*)/.test(line)) return []
  const found: string[] = []
  for (const [text, left = '', right = ''] of line.matchAll(COMPARISON)) {
    const sides = [left, right].map((side) => side.replace(/\(.*\)$/, ''))
    if (/\btypeof\s+$/.test(line.slice(0, line.indexOf(text)))) continue
    if (sides.some((side) => SECRET.test(side)) && ![left, right].some((side) => HARMLESS.test(side))) found.push(text)
  }
  for (const [text, holder = ''] of line.matchAll(CALL)) if (SECRET.test(holder)) found.push(text)
  return found
}

t.test('the rule sees a plain comparison of a secret, and nothing else', async (t) => {
  const seen = [
    'if (secret === client.secret) return true',
    'if (mac(key, body) !== sent) return',
    'return stored.passwordHash == made',
    'if (!expectedMac.equals(sentMac))',
    'known.secretHash.includes(hash)',
    'return refreshToken !== row.token',
  ]
  for (const line of seen) t.not(plainComparisons(line).length, 0, line)
  const ignored = [
    'if (secret === undefined) return',
    "if (typeof password !== 'string') return",
    "url.password !== ''",
    'if (secret.length === 32)',
    "if (credential.kind === 'secret') {",
    "if (!secret.includes('.')) return",
    '// secret === guess would leak',
  ]
  for (const line of ignored) t.same(plainComparisons(line), [], line)
})

t.test('no secret is compared with an operator', async (t) => {
  let lines = 0
  for await (const path of glob('src/**/*.ts')) {
    // The client compares tokens with its own, where they belong to the same person: nobody guesses.
    if (/^src.client./.test(path)) continue
    for (const [index, line] of (await readFile(path, 'utf8')).split('\n').entries()) {
      lines += 1
      for (const text of plainComparisons(line)) t.fail(`${path}:${index + 1} compares a secret in the open: ${text}`)
    }
  }
  t.ok(lines > 5000, `${lines} lines were read`)
})

t.test('each kind of secret has its one place of comparison', async (t) => {
  const places: Record<string, RegExp> = {
    'src/accounts/passwords.ts': /\bargon2\.verify\(/,
    'src/clients/client-secret.ts': /\btimingSafeEqual\(/,
    'src/revocations/cursor-witness.ts': /\btimingSafeEqual\(/,
    'src/sessions/refresh-token.ts': /\btimingSafeEqual\(/,
  }
  const found: string[] = []
  for await (const path of glob('src/**/*.ts')) {
    const text = await readFile(path, 'utf8')
    if (/\b(argon2\.verify|timingSafeEqual)\(/.test(text)) found.push(path.replaceAll('\\', '/'))
  }
  t.same(found.sort(), Object.keys(places).sort())
  for (const [path, call] of Object.entries(places)) t.match(await readFile(path, 'utf8'), call)
})
