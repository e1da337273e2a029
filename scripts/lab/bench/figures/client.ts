import { Child } from '../child.ts'
import type { Figure } from '../figure.ts'
import { LightLoad, type Source } from '../light-load.ts'
import { makeHome, settings, startSignet } from '../server-process.ts'
import { signingContest } from '../signing-contest.ts'

const SCOPE = 'bench:read'

/** The client credentials grant: how a service without a user gets a token. */
export const client: Figure = {
  name: 'client',
  title: 'POST /oauth/token, client_credentials',
  unit: 'tokens/s',
  limit: 'RSA-2048 of this machine',
  better: 'more',
  reach: { ratio: 0.9 },
  async prepare(bench, cleanup) {
    const home = await makeHome(bench)
    const source = await clientRequest(home)
    const server = await startSignet(bench, home)
    cleanup.use(server.child)
    const load = cleanup.use(new LightLoad())
    return signingContest(bench, { server, load, source })
  },
}

/**
 * Registers a client.
 *
 * @returns its token request
 */
export async function clientRequest(home: string): Promise<Source> {
  const args = ['scripts/clients.ts', 'create', '--name', 'bench', '--scope', SCOPE, '--json']
  const script = new Child({ args, env: settings(home), keepOutput: true })
  const { client_id, client_secret } = JSON.parse(await script.finished())
  return clientCredentials('/oauth/token', client_id, client_secret, SCOPE)
}

/** RFC 6749 section 4.4, with the secret in the Authorization header. */
export function clientCredentials(path: string, id: string, secret: string, scope: string): Source {
  const basic = Buffer.from(`${id}:${secret}`).toString('base64')
  const headers = { 'content-type': 'application/x-www-form-urlencoded', authorization: `Basic ${basic}` }
  const body = new URLSearchParams({ grant_type: 'client_credentials', scope }).toString()
  return { kind: 'same', request: { method: 'POST', path, headers, body } }
}
