import type { Comparison } from '../comparison.ts'
import { httpSide } from '../http-side.ts'
import { LightLoad } from '../light-load.ts'
import { bareSigner, newRsaKey, SIGN_IN_FLIGHT } from '../mint.ts'
import { installPeers } from '../peers.ts'
import { makeHome, startSignet } from '../server-process.ts'
import { ISSUE_CONNECTIONS } from '../signing-contest.ts'
import { perSecond } from '../throughput.ts'
import { clientCredentials, clientRequest } from './client.ts'

const SCOPE = 'bench:read'

/**
 * Tokens for services: Signet compared with node-oidc-provider, which keeps everything in memory. Unpinned: signing
 * uses every core.
 */
export const peersIssue: Comparison = {
  name: 'peers-issue',
  title: 'client_credentials, RS256 JWT',
  unit: 'tokens/s',
  better: 'more',
  onDemand: true,
  async prepare(bench, cleanup) {
    const peers = await installPeers(bench)
    const home = await makeHome(bench)
    const source = await clientRequest(home)
    const signet = await startSignet(bench, home)
    cleanup.use(signet.child)

    const privateKey = await newRsaKey()
    const [clientId, clientSecret] = ['bench', 'a secret for a benchmark on loopback']
    const provider = await peers.start('oidc-provider.js', {
      privateJwk: { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256' },
      clientId,
      clientSecret,
      scope: SCOPE,
      resource: 'https://api.example.com',
    })
    cleanup.use(provider.child)
    const load = cleanup.use(new LightLoad())
    const signOne = await bareSigner()
    const rsa = async () => {
      const before = process.cpuUsage()
      const began = performance.now()
      const value = await perSecond(signOne, SIGN_IN_FLIGHT, bench.seconds)
      const { user, system } = process.cpuUsage(before)
      return { value, cpu: (user + system) / (value * ((performance.now() - began) / 1000)) }
    }
    return {
      sides: [
        { name: 'RSA-2048 of this machine', round: rsa },
        httpSide(bench, load, ISSUE_CONNECTIONS, { name: 'Signet', server: signet, source, reach: 0.9 }),
        httpSide(bench, load, ISSUE_CONNECTIONS, {
          name: 'node-oidc-provider',
          server: provider,
          source: clientCredentials('/token', clientId, encodeURIComponent(clientSecret), SCOPE),
        }),
      ],
      notes: [await peers.versions('oidc-provider')],
    }
  },
}
