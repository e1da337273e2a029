import type { Figure } from '../figure.ts'
import { bareSigner, grant, issuerOf, newRsaKey, SIGN_IN_FLIGHT } from '../mint.ts'
import { perSecond } from '../throughput.ts'

/** Tokens issued per second in this process, compared with only the RSA signatures that they need. */
export const sign: Figure = {
  name: 'sign',
  title: 'sign a token',
  unit: 'tokens/s',
  limit: 'RSA-2048 of this machine',
  better: 'more',
  async prepare({ seconds }) {
    // A kid as long as a real one (RFC 7638, SHA-256).
    const issue = issuerOf('http://127.0.0.1', 'A'.repeat(43), await newRsaKey())
    const signOne = await bareSigner()
    return {
      signet: () => perSecond(() => issue(grant()), SIGN_IN_FLIGHT, seconds),
      limit: () => perSecond(signOne, SIGN_IN_FLIGHT, seconds),
    }
  },
}
