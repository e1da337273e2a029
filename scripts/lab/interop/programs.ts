import { execFile } from 'node:child_process'
import { copyFile, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort } from '../../../test/support/free-port.ts'
import { apache, haproxy } from './gateways.ts'
import { GUARDS } from './guards/guards.ts'
import { debianVersion, HERE, type Place, type Program, printed, pythonWith } from './program.ts'
import { httpVerifier, lineVerifier } from './verifiers.ts'

/** The npm packages of the recipes, installed anew in each run. */
export const NPM_PACKAGES = [
  'jose',
  'jsonwebtoken',
  'jwks-rsa',
  'express',
  'express-oauth2-jwt-bearer',
  'aws-jwt-verify',
  'oauth4webapi',
  'openid-client',
]

export const PROGRAMS: readonly Program[] = [
  python('PyJWT', 'python/pyjwt.py', 'jwt', 'python3-jwt python3-cryptography'),
  python('Authlib', 'python/authlib_jose.py', 'authlib', 'python3-authlib python3-requests'),
  script('ruby-jwt', 'ruby/ruby_jwt.rb', 'ruby', 'ruby-jwt', ['-e', 'require "jwt"; puts JWT::VERSION::STRING']),
  script('Crypt::JWT', 'perl/crypt_jwt.pl', 'perl', 'libcrypt-jwt-perl libio-socket-ssl-perl', [
    '-MIO::Socket::SSL',
    '-MCrypt::JWT',
    '-e',
    'print $Crypt::JWT::VERSION',
  ]),
  {
    ...script('jose (command)', 'shell/jose.sh', 'sh', 'jose jq curl', []),
    version: async () => printed('sh', ['-c', 'command -v jose jq curl']) && debianVersion('jose'),
  },
  go(),
  apache,
  haproxy,
  ...GUARDS,
  npm('jose', 'node/jose.js'),
  npm('jsonwebtoken', 'node/jsonwebtoken.js', 'jwks-rsa'),
  npm('aws-jwt-verify', 'node/aws_jwt_verify.js'),
  npm('oauth4webapi', 'node/oauth4webapi.js'),
  express(),
]

function script(name: string, recipe: string, program: string, debian: string, version: readonly string[]): Program {
  return {
    name,
    recipe,
    install: `apt-get install ${debian}`,
    version: async () => printed(program, version),
    start: async ({ issuer }) => lineVerifier({ program, args: [join(HERE, recipe)], env: issuer.environment }),
  }
}

function python(name: string, recipe: string, module: string, debian: string): Program {
  const program = () => pythonWith(module) ?? 'python3'
  return {
    name,
    recipe,
    install: `apt-get install ${debian}`,
    version: async () => printed(program(), ['-c', `import ${module}; print(${module}.__version__)`]),
    start: async ({ issuer }) =>
      lineVerifier({ program: program(), args: [join(HERE, recipe)], env: issuer.environment }),
  }
}

function go(): Program {
  const recipe = 'go/main.go'
  return {
    name: 'go-jose',
    recipe,
    install: 'apt-get install golang-go golang-gopkg-square-go-jose.v2-dev',
    version: async () => printed('go', ['version']) && debianVersion('golang-gopkg-square-go-jose.v2-dev'),
    async start({ folder, issuer }) {
      const program = join(folder, 'go-jose')
      const env = { ...process.env, GO111MODULE: 'off', GOPATH: '/usr/share/gocode' }
      await promisify(execFile)('go', ['build', '-o', program, join(HERE, recipe)], { env })
      return lineVerifier({ program, args: [], env: issuer.environment })
    },
  }
}

/** Copies a recipe to the folder with its libraries. */
export async function npmRecipe({ folder }: Place, recipe: string): Promise<string> {
  const copy = join(folder, recipe)
  await mkdir(join(copy, '..'), { recursive: true })
  await copyFile(join(HERE, recipe), copy)
  return copy
}

export async function npmVersion({ folder }: Place, name: string): Promise<string | undefined> {
  const manifest = await readFile(join(folder, 'node_modules', name, 'package.json'), 'utf8').catch(() => undefined)
  return manifest && JSON.parse(manifest).version
}

function npm(name: string, recipe: string, companion?: string): Program {
  return {
    name,
    recipe,
    install: `npm install ${[name, companion ?? ''].join(' ').trim()}`,
    async version(place) {
      const [own, other] = [await npmVersion(place, name), companion && (await npmVersion(place, companion))]
      return own && other ? `${own}, ${companion} ${other}` : own
    },
    start: async (place) =>
      lineVerifier({
        program: process.execPath,
        args: [await npmRecipe(place, recipe)],
        env: place.issuer.environment,
      }),
  }
}

function express(): Program {
  const name = 'express-oauth2-jwt-bearer'
  return {
    ...npm(name, 'node/express.js'),
    async start(place) {
      const port = await freePort()
      const args = [await npmRecipe(place, 'node/express.js')]
      const env = { ...place.issuer.environment, PORT: String(port) }
      const { verifier } = await httpVerifier({ program: process.execPath, args, env }, `http://127.0.0.1:${port}/`)
      return verifier
    },
  }
}
