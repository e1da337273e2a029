import { chmod, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { debianVersion, HERE, type Program, printed } from '../program.ts'
import type { Command } from '../verifiers.ts'

/** What the recipes say, and a run replaces: where the gateway listens, its gate, and the service behind it. */
export interface Ports {
  readonly listen: number
  readonly gate: number
  readonly app: number
}

/** A gateway that asks signet-gate about each request. */
export interface Gateway extends Omit<Program, 'start'> {
  /** Writes its files to a folder of its own. */
  prepare(folder: string, ports: Ports): Promise<Command>
}

const MODULES = '/usr/lib/apache2/modules'

export const GATEWAYS: readonly Gateway[] = [
  {
    name: 'nginx + gate',
    recipe: 'nginx/gate.conf',
    install: 'apt-get install nginx-light',
    takesBack: true,
    version: async () => debianVersion('nginx'),
    async prepare(folder, ports) {
      await copy('nginx/gate.conf', join(folder, 'recipe.conf'), ports)
      const around = (await readFile(join(HERE, 'nginx/nginx.conf'), 'utf8')).replaceAll('FOLDER', folder)
      await writeFile(join(folder, 'nginx.conf'), around)
      return { program: 'nginx', args: ['-p', folder, '-c', join(folder, 'nginx.conf')], env: PATH }
    },
  },
  {
    name: 'Caddy + gate',
    recipe: 'caddy/Caddyfile',
    install: 'apt-get install caddy',
    takesBack: true,
    version: async () => debianVersion('caddy'),
    async prepare(folder, ports) {
      const file = join(folder, 'Caddyfile')
      await copy('caddy/Caddyfile', file, ports, '{\n\tadmin off\n}\n')
      return { program: 'caddy', args: ['run', '--config', file], env: { ...PATH, HOME: folder } }
    },
  },
  {
    name: 'HAProxy + gate',
    recipe: 'haproxy/gate.cfg',
    install: 'apt-get install haproxy',
    takesBack: true,
    unchecked: 'trailers', // it passes them on, and can't remove them
    version: async () => /version (\S+)/.exec(printed('haproxy', ['-v']) ?? '')?.[1],
    async prepare(folder, ports) {
      await copy('haproxy/gate.lua', join(folder, 'gate.lua'), ports)
      await copy('haproxy/gate.cfg', join(folder, 'gate.cfg'), ports)
      return { program: 'haproxy', args: ['-W', '-f', join(folder, 'gate.cfg')], env: PATH }
    },
  },
  {
    name: 'Apache + gate',
    recipe: 'apache/gate.conf',
    install: 'apt-get install apache2 lua-socket',
    takesBack: true,
    version: async () => debianVersion('lua-socket') && debianVersion('apache2-bin'),
    async prepare(folder, ports) {
      await copy('apache/gate.lua', join(folder, 'gate.lua'), ports)
      await copy('apache/gate.conf', join(folder, 'gate.conf'), ports)
      const env = { ...PATH, FOLDER: folder, MODULES, LISTEN: `127.0.0.1:${ports.listen}` }
      return { program: 'apache2', args: ['-D', 'FOREGROUND', '-f', join(HERE, 'apache/around-gate.conf')], env }
    },
  },
]

const PATH = { PATH: '/usr/sbin:/usr/bin:/bin' }

async function copy(recipe: string, to: string, ports: Ports, before = ''): Promise<void> {
  const text = await readFile(join(HERE, recipe), 'utf8')
  const own = { 8080: ports.listen, 4180: ports.gate, 3000: ports.app }
  const placed = text.replaceAll(/\/etc\/\w+\/(?=gate\.lua)/g, join(to, '../'))
  await writeFile(to, before + placed.replaceAll(/\b(8080|4180|3000)\b/g, (port) => String(own[port as '8080'])))
}

/**
 * A folder below that of the gateways, which is in the run's own. Started by root, Apache reads its Lua file as
 * somebody else.
 */
export async function ownFolder(folder: string, name: string): Promise<string> {
  const own = await mkdtemp(join(folder, `${name.split(' ')[0]?.toLowerCase()}-`))
  for (const path of [join(folder, '..'), folder, own]) await chmod(path, 0o711)
  return own
}
