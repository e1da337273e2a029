import { execFile } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { OperatorError } from '../../../src/errors/app-error.ts'
import { freePort } from '../../../test/support/free-port.ts'
import { called, takenBack, untilUp } from './mcp-service.ts'
import { HERE, type Place } from './program.ts'
import { start } from './verifiers.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const execute = promisify(execFile)

/** The official SDK, and the packages that follow it. */
const V1 = '@modelcontextprotocol/sdk'
const V2 = ['server', 'client', 'express', 'node'].map((name) => `@modelcontextprotocol/${name}`)

const SERVERS = [
  { name: V1, recipe: 'mcp/server.js' },
  { name: '@modelcontextprotocol/server', recipe: 'mcp/server_v2.js' },
]
const CLIENTS = [
  { name: V1, recipe: 'mcp/client.js', post: 'mcp/client_post.js' },
  { name: '@modelcontextprotocol/client', recipe: 'mcp/client_v2.js', post: undefined },
]

/** A client of the issuer, as the environment of a recipe. */
type Credential = Readonly<Record<string, string>>

/**
 * Each MCP client of the SDK reaches a tool of each MCP server, by its URL and a credential alone: by secret and by
 * key. Then the operator disables the client, and the tool is refused.
 *
 * @returns lines for the report
 * @throws OperatorError for what goes another way
 */
export async function reachTools(place: Place): Promise<string> {
  const folder = join(place.folder, 'mcp-run')
  const installed = await install(folder).catch((error: Error) => error)
  if (installed instanceof Error) return `left out: MCP: ${installed.message.split('\n')[0]}`
  const rows: string[] = []
  for (const server of SERVERS) rows.push(...(await tryServer(place, folder, server)))
  const head = ['MCP server', 'MCP client', 'secret, Basic', 'secret, form', 'private key', 'disabled']
  return [head, head.map(() => '---')].map(row).concat(rows).join('\n')
}

const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`

/** The SDK and the package as users have them, in a folder of their own. */
async function install(folder: string): Promise<void> {
  mkdirSync(join(folder, 'mcp'), { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  for (const { recipe } of [...SERVERS, ...CLIENTS]) copyFileSync(join(HERE, recipe), join(folder, recipe))
  for (const { post } of CLIENTS) if (post !== undefined) copyFileSync(join(HERE, post), join(folder, post))
  const preload = ['--import', './src/require-node.js']
  const made = await execute(process.execPath, [...preload, 'scripts/build/package.ts'], { cwd: ROOT })
  const [, tarball = ''] = /^(dist\/signet-verifier-\S+)$/m.exec(made.stdout) ?? []
  const npm = 'unset NODE_OPTIONS; exec npm install --prefer-offline --no-audit --no-fund "$@"'
  await execute('sh', ['-c', npm, 'npm', V1, ...V2, 'express', join(ROOT, tarball)], { cwd: folder })
}

async function tryServer(place: Place, folder: string, server: (typeof SERVERS)[number]): Promise<string[]> {
  const { issuer } = place
  const port = await freePort()
  const resource = `http://127.0.0.1:${port}/mcp`
  const env = { ...issuer.environment, RESOURCE: resource, PORT: String(port) }
  const { child, complaint } = start({ program: process.execPath, args: [server.recipe], env, cwd: folder })
  await untilUp(resource, () => child.exitCode !== null && complaint())
  const { bySecret, byKey } = await credentials(place, folder, resource)
  const call = (recipe: string | undefined, credential: Credential) =>
    recipe === undefined ? Promise.resolve('-') : reached(place, folder, recipe, { ...credential, RESOURCE: resource })
  const rows: string[][] = []
  for (const client of CLIENTS) {
    const cells = [
      await call(client.recipe, bySecret),
      await call(client.post, bySecret),
      await call(client.recipe, byKey),
    ]
    rows.push([named(folder, server), named(folder, client), ...cells])
  }
  const disabled = await takenBack(place, resource, bySecret)
  for (const { recipe } of CLIENTS) {
    const after = await call(recipe, bySecret).catch((error: Error) => error)
    if (!(after instanceof Error)) throw new OperatorError(`MCP: ${recipe}: a disabled client reaches the tool`)
  }
  child.kill()
  await neverGuesses(place, folder, server.recipe)
  return rows.map((cells) => row([...cells, disabled]))
}

/** Without the keys of its issuer an MCP server answers 500: neither a tool, nor that the token is bad. */
async function neverGuesses({ issuer }: Place, folder: string, recipe: string): Promise<void> {
  const port = await freePort()
  const resource = `http://127.0.0.1:${port}/mcp`
  const nobody = `http://127.0.0.1:${await freePort()}`
  const env = { ...issuer.environment, ISSUER: nobody, RESOURCE: resource, PORT: String(port) }
  const { child, complaint } = start({ program: process.execPath, args: [recipe], env, cwd: folder })
  await untilUp(resource, () => child.exitCode !== null && complaint())
  const { status } = await called(resource, await issuer.logIn())
  if (status !== 500) throw new OperatorError(`MCP: ${recipe}: without keys it answers ${status}`)
  child.kill()
}

const named = (folder: string, { name, recipe }: { name: string; recipe: string }) => {
  const manifest = readFileSync(join(folder, 'node_modules', name, 'package.json'), 'utf8')
  return `${name.split('/')[1]}: [${JSON.parse(manifest).version}](${recipe})`
}

async function credentials({ issuer }: Place, folder: string, resource: string) {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const [jwks, key] = [join(folder, 'jwks.json'), join(folder, 'key.pem')]
  writeFileSync(jwks, JSON.stringify({ keys: [publicKey.export({ format: 'jwk' })] }))
  writeFileSync(key, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
  const audience = ['--audience', resource]
  const withSecret = await issuer.createClient(audience)
  const withKey = await issuer.createClient([...audience, '--jwks', jwks])
  return {
    bySecret: { CLIENT_ID: withSecret.id, CLIENT_SECRET: withSecret.secret },
    byKey: { CLIENT_ID: withKey.id, PRIVATE_KEY_FILE: key },
  }
}

/** Runs a client, which is not told the issuer. @returns the word for the report */
async function reached({ issuer }: Place, folder: string, recipe: string, credential: Credential): Promise<string> {
  const { ISSUER: _, AUDIENCE: __, ...environment } = issuer.environment
  const { stdout } = await execute(process.execPath, [recipe], { env: { ...environment, ...credential }, cwd: folder })
  if (stdout.trim() !== credential.CLIENT_ID)
    throw new OperatorError(`MCP: ${recipe}: the tool says ${JSON.stringify(stdout)}`)
  return 'tool'
}
