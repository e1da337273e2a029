import { execFile } from 'node:child_process'
import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { OperatorError } from '../../../src/errors/app-error.ts'
import { freePort } from '../../../test/support/free-port.ts'
import { debianVersion, HERE, type Place, type Program, printed, pythonWith } from './program.ts'
import { httpVerifier, startApplication } from './verifiers.ts'

const MODULES = '/usr/lib/apache2/modules'

/** Apache with mod_auth_openidc as an OAuth 2 resource server. */
export const apache: Program = {
  name: 'mod_auth_openidc',
  recipe: 'apache/resource-server.conf',
  install: 'apt-get install apache2 libapache2-mod-auth-openidc',
  version: async () => debianVersion('libapache2-mod-auth-openidc')?.split('-')[0],
  unchecked: 'without exp', // harmless: without exp it is no access token, and typ, client_id and jti are checked
  async start({ folder, issuer }) {
    const own = await mkdtemp(join(folder, 'apache-'))
    const listen = `127.0.0.1:${await freePort()}`
    const env = {
      ...issuer.environment,
      FOLDER: own,
      LISTEN: listen,
      MODULES,
      AUTHORITY: issuer.authority,
      RECIPE: join(HERE, 'apache/resource-server.conf'),
      APP: await startApplication(),
    }
    const args = ['-D', 'FOREGROUND', '-f', join(HERE, 'apache/httpd.conf')]
    return (await httpVerifier({ program: 'apache2', args, env }, `http://${listen}/`)).verifier
  },
}

/** HAProxy's jwt_verify, with the keys as files. */
export const haproxy: Program = {
  name: 'HAProxy',
  recipe: 'haproxy/haproxy.cfg',
  install: 'apt-get install haproxy python3-jwt python3-cryptography',
  version: async () => pythonWith('jwt') && /version (\S+)/.exec(printed('haproxy', ['-v']) ?? '')?.[1],
  async start(place) {
    const keys = await mkdtemp(join(place.folder, 'haproxy-'))
    await fetchKeys(place, keys)
    const listen = `127.0.0.1:${await freePort()}`
    const env = { ...place.issuer.environment, KEYS: keys, LISTEN: listen, APP: await startApplication() }
    const args = ['-W', '-f', join(HERE, 'haproxy/haproxy.cfg')]
    const { child, verifier } = await httpVerifier({ program: 'haproxy', args, env }, `http://${listen}/`)
    const keysChanged = async () => {
      if ((await fetchKeys(place, keys)) !== 'changed')
        throw new OperatorError('HAProxy: the new key is not in the JWKS')
      child.kill('SIGUSR2') // what `systemctl reload haproxy` sends
    }
    return { ...verifier, keysChanged }
  },
}

async function fetchKeys({ issuer }: Place, folder: string): Promise<string> {
  const env = { ...issuer.environment, KEYS: folder }
  const { stdout } = await promisify(execFile)(pythonWith('jwt') ?? 'python3', [join(HERE, 'haproxy/fetch_keys.py')], {
    env,
  })
  return stdout.trim()
}
