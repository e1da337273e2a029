import { createHash, randomBytes } from 'node:crypto'
import t from 'tap'
import { publicJwk, thumbprint } from '../../src/keys/jwk.ts'
import { generatePrivateKey } from '../../src/keys/private-keys.ts'
import { readJwks } from '../../src/verifier/keys/jwks-reply.ts'
import { nodePlatform } from '../../src/verifier/platform/node-platform.ts'
import { webPlatform } from '../../src/verifier/platform/web-platform.ts'

const good = publicJwk(await generatePrivateKey(2048))
const { n, e } = good
const bytes = Buffer.from(n, 'base64url')

/** A modulus of so many bits. Nobody knows its factors; that it has any is not looked at. */
function modulus(bits: number, lastByte = 1): string {
  const length = Math.ceil(bits / 8)
  const random = randomBytes(length)
  random[0] = ((random[0] ?? 0) & (0xff >> (length * 8 - bits))) | (1 << ((bits - 1) % 8))
  random[length - 1] = (random[length - 1] ?? 0) | lastByte
  return random.toString('base64url')
}

/** The name that a key has, of its own letters. */
const own = (jwk: { n: string; e: string }) =>
  createHash('sha256').update(`{"e":"${jwk.e}","kty":"RSA","n":"${jwk.n}"}`).digest('base64url')
const named = (change: { n?: string; e?: string }) => {
  const jwk = { ...good, ...change }
  return { ...jwk, kid: own(jwk) }
}

/** A JWK as text, and whether its key is used. */
const rows: [what: string, jwk: unknown, isUsed: boolean][] = [
  ['a good key', good, true],
  ['without `use`', { ...good, use: undefined }, true],
  ['with members that nobody knows', { ...good, x5c: ['x'], key_ops: ['sign'], ext: false, oth: [] }, true],
  ['of 3072 bits', named({ n: modulus(3072) }), true],
  ['of 16384 bits', named({ n: modulus(16_384) }), true],
  ['of 2047 bits', named({ n: modulus(2047) }), false],
  ['of 2041 bits', named({ n: modulus(2041) }), false],
  ['of 1024 bits', named({ n: modulus(1024) }), false],
  ['more bits than OpenSSL verifies with', named({ n: modulus(16_385) }), false],
  ...[Buffer.concat([Buffer.of(0), bytes]), Buffer.concat([Buffer.alloc(256), bytes])].flatMap(
    (zeros): [string, unknown, boolean][] => [
      ['zeros before n', { ...good, n: zeros.toString('base64url') }, false],
      ['zeros before n, and its own name', named({ n: zeros.toString('base64url') }), false],
    ],
  ),
  ...[`${n}==`, ` ${n}`, `${n}\n`, bytes.toString('base64'), `${n.slice(0, -1)}B`, `${n.slice(0, 100)}.${n.slice(100)}`]
    .filter((other) => other !== n)
    .flatMap((other): [string, unknown, boolean][] => [
      [`n ${JSON.stringify(other.slice(-8))}`, { ...good, n: other }, false],
      [`n ${JSON.stringify(other.slice(-8))}, its own name`, named({ n: other }), false],
    ]),
  ...['AAEAAQ', 'AQAB==', 'AQAC', 'AQ', 'Aw', 'AQA', '', 'AQABAA'].flatMap((other): [string, unknown, boolean][] => [
    [`e ${other}`, { ...good, e: other }, false],
    [`e ${other}, its own name`, named({ e: other }), false],
  ]),
  ['n is a number', { ...good, n: 7 }, false],
  ['n is a list', { ...good, n: [n] }, false],
  ['e is a number', { ...good, e: 65537 }, false],
  ['kty in lower case', { ...good, kty: 'rsa' }, false],
  ['kty EC', { ...good, kty: 'EC' }, false],
  ['no kty', { ...good, kty: undefined }, false],
  ['for encryption', { ...good, use: 'enc' }, false],
  ['another alg', { ...good, alg: 'RS512' }, false],
  ['no alg', { ...good, alg: undefined }, false],
  ['the name of another key', { ...good, kid: thumbprint({ n: modulus(2048), e }) }, false],
  ['its name in upper case', { ...good, kid: good.kid.toUpperCase() }, false],
  ['with a private member', { ...good, d: 'AQAB' }, false],
  ['with d null', { ...good, d: null }, false],
  ['null', null, false],
  ['a text', 'RSA', false],
  ['a list', [good], false],
]

t.test('Node and Web Crypto take the same keys of a JWKS', async (t) => {
  for (const [what, jwk, isUsed] of rows) {
    const text = JSON.stringify({ keys: [jwk] })
    const found = await Promise.all(
      [nodePlatform, webPlatform].map(({ readKey }) =>
        readJwks(text, readKey).then(
          (pems) => [...pems],
          () => [],
        ),
      ),
    )
    t.same(found[0], found[1], `${what}: the same`)
    t.equal(found[0]?.length, isUsed ? 1 : 0, what)
  }
})

t.test('a member that is there twice, or that would change a prototype, makes no difference', async (t) => {
  const json = JSON.stringify(good).slice(1, -1)
  const texts = [`{"n":"AQAB",${json}}`, `{${json},"n":"AQAB"}`, `{"__proto__":${JSON.stringify(good)}}`]
  for (const [index, text] of texts.entries())
    for (const { readKey } of [nodePlatform, webPlatform]) {
      const read = readJwks(`{"keys":[${text}]}`, readKey)
      if (index === 0) t.same([...(await read).keys()], [good.kid], text.slice(0, 20))
      else await t.rejects(read, text.slice(0, 20))
    }
})
