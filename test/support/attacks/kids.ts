import { createHmac } from 'node:crypto'
import { Raw } from '../mint.ts'
import { type Attack, shown, type Target } from './corpus.ts'

/**
 * `kid` is the attacker's text (RFC 8725bis section 3.10). Each token bears the right signature of the right key, so
 * that nothing but its kid can refuse it; and each comes once more with an HMAC under an empty key, what a missing
 * key is taken for (CVE-2026-44351).
 */
export function kidAttacks({ mint, canary }: Target): Attack[] {
  return [...typed(), ...inherited(), ...respelled(mint.kid), ...injected(mint.kid, canary)].flatMap((kid) => [
    { name: `kid ${shown(kid)}`, token: mint.token({ header: { kid } }) },
    {
      name: `kid ${shown(kid)} with HS256 under an empty key`,
      token: mint.token({ header: { kid, alg: 'HS256' } }, (input) => createHmac('sha256', '').update(input).digest()),
    },
  ])
}

function typed(): unknown[] {
  const list = [undefined, null, true, false, 0, 1, -1, 1.5, '', ' ', [], {}, [null], [[]], { kid: 1 }, { $ne: null }]
  return [...list, { toString: 'x' }, { length: 43 }, new Raw('1e999'), new Raw('{"__proto__":{"kid":"x"}}')]
}

/** Members that a key table inherits when it is a plain object, an array or a Map used as one. */
function inherited(): string[] {
  return [
    ...Object.getOwnPropertyNames(Object.prototype),
    ...['prototype', 'name', 'length', 'size', 'get', 'has', 'set', 'keys', 'entries', 'forEach', 'at', 'at(0)'],
    ...['0', '-1', 'undefined', 'null', 'NaN', 'true', 'default', '*', 'current', 'next', '[object Object]'],
  ]
}

/** Almost the right kid: a look-up must not trim, fold case, normalise, or turn a list into text. */
function respelled(kid: string): unknown[] {
  const texts = [kid.toLowerCase(), kid.toUpperCase(), ` ${kid}`, `${kid} `, `${kid}\n`, `${kid}\0`, `\ufeff${kid}`]
  const parts = [kid.slice(1), kid.slice(0, -1), kid + kid, `${kid}=`, `${kid},${kid}`, `${kid}.pem`, `${kid}\u200b`]
  return [...texts, ...parts, [kid], [kid, kid], { kid }, { [kid]: kid }, [[kid]]]
}

/** Values of `kid` that are dangerous when they end up in a path, a query, a shell, a URL or a log. */
function injected(kid: string, canary: string): string[] {
  return [
    ...[
      '../../../../../dev/null',
      '/dev/null',
      `../keys/${kid}`,
      `./${kid}`,
      '..\\..\\windows\\win.ini',
      'keyring.json',
    ],
    ...['file:///dev/null', '%2e%2e%2f%2e%2e%2fetc%2fpasswd', '/proc/self/environ', `${kid}%00`, 'C:\\boot.ini'],
    ...[
      "' OR '1'='1",
      "' UNION SELECT 'secret' --",
      "'; DROP TABLE accounts; --",
      '" OR ""="',
      '1; SELECT pg_sleep(9)',
    ],
    ...['$(id)', '`id`', '| id', '; id', '#{7*7}', '{{7*7}}', '<script>alert(1)</script>', '%s%s%n', '*)(uid=*'],
    ...[canary, `${canary}/jwks.json`, canary.replace('http:', ''), 'http://169.254.169.254/latest/meta-data/'],
    ...['\0', '\n', '\r\nSet-Cookie: a=b', '\u2028', '\ud800', '\udfff', '😀', 'ＡＢＣ', '\u202e', '{"level":"fatal"}'],
    ...['A'.repeat(43), 'x'.repeat(1000), '\0'.repeat(300), 'é'.repeat(500), '('.repeat(500)],
  ]
}
