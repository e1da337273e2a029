import { generateKeyPair, sign as rsaSign } from 'node:crypto'
import { promisify } from 'node:util'
import { systemClock } from '../../../src/clock.ts'
import { createIssuer, FIRST_PARTY_CLIENT } from '../../../src/tokens/issue.ts'
import type { Figure } from '../figure.ts'
import { perSecond } from '../throughput.ts'

/** More than libuv's pool has threads, so that none of them ever waits for the event loop. */
const IN_FLIGHT = 16

const ISSUER = 'http://127.0.0.1'

/** As long as a real one (RFC 7638, SHA-256). */
const KID = 'A'.repeat(43)

/** Issued tokens per second in this process, beside nothing but the RSA signatures they need. */
export const sign: Figure = {
  name: 'sign',
  title: 'sign a token',
  unit: 'tokens/s',
  limit: 'RSA-2048 of this machine',
  better: 'more',
  async prepare({ seconds }) {
    const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 })
    const key = privateKey.toCryptoKey({ name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }, false, ['sign'])
    // The live keyring's part is a look into a map; a key of our own keeps files and rotation out of the figure.
    const keyring = { signingKey: () => ({ kid: KID, key }) }

    const issue = createIssuer({ issuer: ISSUER, audience: [ISSUER], ttl: 600, keyring, now: systemClock })
    const issueOne = () => issue(grant())
    const { token } = await issueOne()
    const signingInput = Buffer.from(token.slice(0, token.lastIndexOf('.')))
    const signAsync = promisify(rsaSign)
    const signOne = () => signAsync('sha256', signingInput, privateKey)

    return {
      signet: () => perSecond(issueOne, IN_FLIGHT, seconds),
      limit: () => perSecond(signOne, IN_FLIGHT, seconds),
    }
  },
}

/** What a login puts into a token. */
function grant() {
  return {
    sub: 'acc_0123456789abcdefghijkl',
    client_id: FIRST_PARTY_CLIENT,
    sid: '0123456789abcdefghijkl',
    auth_time: systemClock(),
    roles: ['admin'],
    token_version: 1,
  }
}
