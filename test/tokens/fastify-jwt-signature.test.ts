import { constants, generateKeyPairSync, sign } from 'node:crypto'
import t from 'tap'
import { AppError } from '../../src/errors/app-error.ts'
import { createFastifyJwtSignature } from '../../src/tokens/fastify-jwt-signature.ts'
import { createMint, type Signer } from '../support/mint.ts'

// What @fastify/jwt refuses by itself, without our own checks before and after it. No other test would notice if this
// second barrier were gone.

const rsa = () => generateKeyPairSync('rsa', { modulusLength: 2048 })
const pemOf = ({ publicKey }: ReturnType<typeof rsa>) => publicKey.export({ type: 'spki', format: 'pem' }).toString()
const ours = rsa()
const pem = pemOf(ours)
const mint = createMint({
  kid: 'k',
  issuer: 'https://issuer.example',
  audience: 'ours',
  now: 1_800_000_000,
  privateKey: ours.privateKey,
})
const policy = { issuer: mint.issuer, audience: [mint.audience], typ: 'at+jwt', skew: 5, maxLifetime: 900 }
const payloadOf = createFastifyJwtSignature(policy)

const ps256: Signer = (input) =>
  sign('sha256', Buffer.from(input), {
    key: ours.privateKey,
    padding: constants.RSA_PKCS1_PSS_PADDING,
    saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
  })
const rs512: Signer = (input) => sign('sha512', Buffer.from(input), ours.privateKey)

/** Why it was refused, for the log; undefined when it was taken. */
function reason(token: string): string | undefined {
  try {
    payloadOf(token, pem)
  } catch (error) {
    if (error instanceof AppError && error.code === 'invalid_token') return error.reason
    throw error
  }
  return undefined
}

t.test('algorithm, typ, issuer, audience and presence of every claim are pinned here, too', async (t) => {
  const rows: [token: string, code: string][] = [
    [mint.token({ header: { alg: 'PS256' } }, ps256), 'INVALID_ALGORITHM'],
    [mint.token({ header: { alg: 'RS512' } }, rs512), 'INVALID_ALGORITHM'],
    [mint.token({}, () => Buffer.alloc(256, 1)), 'INVALID_SIGNATURE'],
    [mint.token({ header: { typ: 'JWT' } }), 'INVALID_TYPE'],
    [mint.token({ claims: { iss: 'https://other.example' } }), 'INVALID_CLAIM_VALUE'],
    [mint.token({ claims: { aud: 'theirs' } }), 'INVALID_CLAIM_VALUE'],
  ]
  for (const claim of ['iss', 'aud', 'sub', 'client_id', 'iat', 'exp', 'jti'])
    rows.push([mint.token({ claims: { [claim]: undefined } }), 'MISSING_REQUIRED_CLAIM'])
  for (const [token, code] of rows) t.match(reason(token), new RegExp(`^FAST_JWT_${code}: `), code)
})

t.test('age is left to acceptClaims, and no payload is remembered', async (t) => {
  for (const claims of [{ exp: 1 }, { nbf: 9e12 }]) t.equal(reason(mint.token({ claims })), undefined)
  const token = mint.token()
  t.not(payloadOf(token, pem), payloadOf(token, pem))
})

t.test('a token counts for the key that is given and for no other, whatever came before', async (t) => {
  const token = mint.token()
  t.match(payloadOf(token, pem), { iss: mint.issuer })
  t.throws(() => payloadOf(token, pemOf(rsa())), { code: 'invalid_token' })
  t.match(payloadOf(token, pem), { iss: mint.issuer })
})

t.test('a key that can not be used is our fault, not that of the token', async (t) => {
  for (let i = 0; i < 2; i += 1)
    t.throws(() => payloadOf(mint.token(), 'no key'), { code: 'FAST_JWT_INVALID_KEY' }, 'and nothing is kept')
  t.throws(() => payloadOf(mint.token(), ''), { message: 'missing public key' })
})
