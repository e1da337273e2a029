import { availableParallelism } from 'node:os'
import t from 'tap'
import { loadConfig } from '../../src/config/config.ts'
import { Settings } from '../../src/config/settings.ts'
import { OperatorError } from '../../src/errors/app-error.ts'

const refusal = (env: Record<string, string>): string => {
  try {
    loadConfig({ env })
  } catch (error) {
    if (error instanceof OperatorError) return error.message
    throw error
  }
  return 'accepted'
}

t.test('with no settings every default is in force', async (t) => {
  const config = loadConfig({ env: {} })
  t.match(config, {
    HOST: '127.0.0.1',
    PORT: 3000,
    ISSUER: 'http://127.0.0.1:3000',
    AUDIENCE: ['http://127.0.0.1:3000'],
    ACCESS_TOKEN_TTL: 600,
    CLOCK_SKEW: 5,
    JWKS_MAX_AGE: 300,
    KEYS_DIR: './keys',
    REGISTRATION: 'open',
    PASSWORD_MIN_LENGTH: 15,
  })
  t.ok(Object.isFrozen(config))
})

t.test('good values are taken', async (t) => {
  const config = loadConfig({
    env: {
      ISSUER: 'https://auth.example.com/tenant',
      AUDIENCE: 'https://api.example.com, https://files.example.com',
      ACCESS_TOKEN_TTL: '60',
      CORS_ORIGINS: 'https://app.example.com,http://localhost:5173',
      TRUST_PROXY: 'loopback,10.0.0.0/8,2001:db8::/32',
      DATABASE_URL: 'sqlite::memory:',
    },
  })
  t.equal(config.ISSUER, 'https://auth.example.com/tenant')
  t.same(config.AUDIENCE, ['https://api.example.com', 'https://files.example.com'])
  t.equal(config.ACCESS_TOKEN_TTL, 60)
  t.same(config.CORS_ORIGINS, ['https://app.example.com', 'http://localhost:5173'])
  t.same(config.TRUST_PROXY, ['loopback', '10.0.0.0/8', '2001:db8::/32'])
})

t.test('an audience that fits into no token is refused by name, with the limit', async (t) => {
  const list = (count: number, length: number) =>
    Array.from({ length: count }, (_, i) => `${i}`.padEnd(length, 'a')).join()
  const limit = /^settings: AUDIENCE: takes \d+ bytes as a JSON list, and at most 1024 fit into a token/
  t.equal(refusal({ AUDIENCE: list(4, 252) }), 'accepted', '1,021 bytes')
  t.equal(refusal({ AUDIENCE: list(8, 124) }), 'accepted', '1,017 bytes')
  for (const audience of [
    list(4, 254),
    list(8, 255),
    list(8, 125),
    list(4, 100).replaceAll('a', '€'),
    list(4, 251) + '\\'.repeat(4),
  ])
    t.match(refusal({ AUDIENCE: audience }), limit, audience.slice(0, 20))
})

t.test('the default issuer follows host and port', async (t) => {
  t.equal(loadConfig({ env: { HOST: '::1', PORT: '81' } }).ISSUER, 'http://[::1]:81')
  t.equal(loadConfig({ env: { HOST: '0.0.0.0' } }).ISSUER, 'http://localhost:3000')
  t.equal(loadConfig({ env: { PORT: '0' }, port: 4711 }).ISSUER, 'http://127.0.0.1:4711')
})

t.test('WORKERS: one by default, as many as there are cores when asked to', async (t) => {
  t.equal(loadConfig({ env: {} }).WORKERS, 1)
  t.equal(loadConfig({ env: { WORKERS: '64' } }).WORKERS, 64)
  t.equal(loadConfig({ env: { WORKERS: 'auto' } }).WORKERS, Math.min(availableParallelism(), 64))
})

t.test('the docs page is off in production unless asked for, and on elsewhere', async (t) => {
  for (const [NODE_ENV, DOCS, docs] of [
    ['production', undefined, 'off'],
    ['production', 'on', 'on'],
    ['development', undefined, 'on'],
    ['development', 'off', 'off'],
  ] as const)
    t.equal(loadConfig({ env: { NODE_ENV, ISSUER: 'https://signet.example', ...(DOCS && { DOCS }) } }).DOCS, docs)
})

t.test('several processes can not share a database in memory', async (t) => {
  t.match(refusal({ WORKERS: '2', DATABASE_URL: 'sqlite::memory:' }), /WORKERS: .*DATABASE_URL=sqlite::memory:/)
  t.equal(refusal({ WORKERS: '1', DATABASE_URL: 'sqlite::memory:' }), 'accepted')
  t.equal(refusal({ WORKERS: '2', DATABASE_URL: 'sqlite:./x.db' }), 'accepted')
})

t.test('a server in production needs an issuer, and a script does not', async (t) => {
  const production = { NODE_ENV: 'production' }
  t.throws(() => loadConfig({ serves: true, env: production }), {
    message: /settings: ISSUER is not set: NODE_ENV=prod/,
  })
  t.throws(() => loadConfig({ serves: true, env: { ...production, CLOCK_SKEW: 'x' } }), {
    message: /CLOCK_SKEW.*ISSUER/,
  })
  t.throws(() => loadConfig({ serves: true, env: { ...production, ISSUER: '' } }), { message: /ISSUER is empty/ })
  const ISSUER = 'https://auth.example.com'
  t.equal(loadConfig({ serves: true, env: { ...production, ISSUER } }).ISSUER, ISSUER)
  t.equal(loadConfig({ serves: true, env: { NODE_ENV: 'test' } }).ISSUER, 'http://127.0.0.1:3000')
  t.equal(refusal(production), 'accepted')
})

t.test('a slash at the end is named as what is wrong', async (t) => {
  for (const [env, url] of [
    [{ ISSUER: 'https://auth.example.com/' }, 'https://auth.example.com/'],
    [{ ISSUER: 'https://auth.example.com/tenant//' }, 'https://auth.example.com/tenant//'],
    [{ CORS_ORIGINS: 'http://a.example, https://app.example.com/' }, 'https://app.example.com/'],
  ] as const) {
    const [name] = Object.keys(env)
    t.equal(refusal(env), `settings: ${name}: "${url}" may not end with a slash`)
  }
  t.match(refusal({ ISSUER: 'ftp://auth.example.com/' }), /is not accepted/, 'it has more faults')
})

t.test('the path of an issuer has no character that a route reads as a pattern', async (t) => {
  for (const path of ['*', 'a*', ':a', 'a:b', '(a)', 'a)', 'a//b', '/a'])
    t.match(refusal({ ISSUER: `https://auth.example.com/${path}` }), /ISSUER: .* is not accepted .*brackets/, path)
  for (const path of ['auth', 'realms/my-realm', 'v1.2/~me/_x', 'a%20b', 'a@b;c+d'])
    t.equal(refusal({ ISSUER: `https://auth.example.com/${path}` }), 'accepted', path)
})

t.test('no part of a password in a DATABASE_URL that is none is printed, and how to write it is', async (t) => {
  for (const url of [
    'postgres://signet:hunter/2@db/signet',
    'postgres://signet:77/hunter2@db/signet',
    'postgres://signet:77/hunter2@db:5432/signet',
    'postgres://signet:77?hunter2@db/signet',
    'postgres://signet:77#hunter2@db/signet',
    'postgres://signet:hunter2@db:port/signet',
    'postgres://signet:hunter2 @db/signet',
    'postgres://signet:hun\nter2@db/signet',
    'postgres:signet:hunter2@db/signet',
    'POSTGRES://signet:hunter2@db/signet',
    ' postgres://signet:hunter2@db/signet',
  ]) {
    t.match(refusal({ DATABASE_URL: url }), /settings: DATABASE_URL: its value .*percent-encoded/, url)
    t.notMatch(refusal({ DATABASE_URL: url }), /hun|ter2|77/, url)
  }
  t.equal(refusal({ DATABASE_URL: 'postgres://signet:77%2Fhunter2@db:5432/signet' }), 'accepted')
})

t.test('a database elsewhere is asked for TLS, unless DATABASE_TLS says otherwise', async (t) => {
  const tls = (host: string, env = {}) =>
    loadConfig({ env: { DATABASE_URL: `postgres://signet@${host}/signet`, ...env } }).DATABASE_TLS
  for (const host of ['localhost', 'LOCALHOST:1', 'a.localhost', '127.0.0.1:5432', '127.9.9.9', '[::1]', '%2Frun'])
    t.equal(tls(host), 'off', host)
  for (const host of ['db', 'db.example.com', '10.0.0.1', '[::2]', 'localhost.example.com', '127.0.0.1.example.com'])
    t.equal(tls(host), 'require', host)
  t.equal(tls('db', { DATABASE_TLS: 'off' }), 'off')
  t.equal(tls('localhost', { DATABASE_TLS: 'verify' }), 'verify')
  t.equal(loadConfig({ env: {} }).DATABASE_TLS, 'off', 'SQLite')
})

const REFUSED: [name: string, value: string][] = [
  ['NODE_ENV', 'prod'],
  ['HOST', ''],
  ['PORT', '-1'],
  ['PORT', '65536'],
  ['PORT', '80a'],
  ['PORT', ' 80'],
  ['PORT', '1e3'],
  ['PORT', '0x50'],
  ['WORKERS', '0'],
  ['WORKERS', '65'],
  ['WORKERS', '02'],
  ['WORKERS', '2.5'],
  ['WORKERS', 'AUTO'],
  ['WORKERS', ''],
  ['ISSUER', 'auth.example.com'],
  ['ISSUER', 'ftp://auth.example.com'],
  ['ISSUER', 'https://auth.example.com?x=1'],
  ['ISSUER', 'https://auth.example.com/#'],
  ['ISSUER', 'https://auth.example.com/'],
  ['ISSUER', 'https:auth.example.com'],
  ['REGISTRATON', 'closed'],
  ['ISSUER', 'https://user:pw@auth.example.com'],
  ['ISSUER', ''],
  ['AUDIENCE', ''],
  ['AUDIENCE', 'a,,b'],
  ['AUDIENCE', 'a,a'],
  ['ACCESS_TOKEN_TTL', '59'],
  ['ACCESS_TOKEN_TTL', '901'],
  ['ACCESS_TOKEN_TTL', '10m'],
  ['ACCESS_TOKEN_TTL', '600.5'],
  ['CLOCK_SKEW', '61'],
  ['CLOCK_SKEW', 'Infinity'],
  ['JWKS_MAX_AGE', '0'],
  ['KEYS_DIR', ''],
  ['KEY_PASSPHRASE_FILE', ''],
  ['DATABASE_URL', 'mysql://x'],
  ['DATABASE_URL', 'sqlite:'],
  ['DATABASE_URL', ''],
  ['REGISTRATION', 'yes'],
  ['PASSWORD_MIN_LENGTH', '7'],
  ['PASSWORD_HASH_MEMORY', '1024'],
  ['PASSWORD_HASH_PASSES', '1'],
  ['LOG_LEVEL', 'verbose'],
  ['METRICS_PORT', '65536'],
  ['METRICS_PORT', 'on'],
  ['METRICS_HOST', ''],
  ['CORS_ORIGINS', '*'],
  ['CORS_ORIGINS', 'https://app.example.com/'],
  ['SCOPES_SUPPORTED', 'a"'],
  ['SCOPES_SUPPORTED', 'Signet:accounts:all'],
  ['SCOPES_SUPPORTED', 'signet:audit:read'],
  ['TRUST_PROXY', 'true'],
  ['TRUST_PROXY', '1'],
  ['TRUST_PROXY', '10.0.0.0/33'],
]

for (const [name, value] of REFUSED) {
  t.test(`${name}=${JSON.stringify(value)} is refused by name`, async (t) => {
    t.match(refusal({ [name]: value }), new RegExp(`settings: ${name}`))
  })
}

t.test('all bad settings are named at once', async (t) => {
  const message = refusal({ PORT: 'x', CLOCK_SKEW: '99', REGISTRATION: 'maybe' })
  for (const name of ['PORT', 'CLOCK_SKEW', 'REGISTRATION']) t.match(message, name)
})

t.test('a setting with a slip in its name is refused, because its default would silently stay in force', async (t) => {
  for (const name of ['ACCES_TOKEN_TTL', 'ACCESS_TOKEN_TLL', 'KEY_DIR', 'JWKS_MAXAGE', 'CORS_ORIGIN', 'log_level']) {
    t.match(refusal({ [name]: '1' }), `${name} is no setting`)
  }
  t.equal(refusal({ PATH: '/bin', HOSTNAME: 'x', NODE_OPTIONS: '', TERM: 'x', npm_config_cache: 'x' }), 'accepted')
})

t.test('a refused DATABASE_URL is not repeated: it may hold a password', async (t) => {
  t.notMatch(refusal({ DATABASE_URL: 'mysql://signet:hunter2@db' }), 'hunter2')
})

t.test('every setting says what it is for', async (t) => {
  for (const [name, schema] of Object.entries(Settings.properties)) t.type(schema.description, 'string', name)
})

t.test('the text of a number names its range, and no text refers to another row: boot prints it alone', async (t) => {
  for (const [name, schema] of Object.entries(Settings.properties)) {
    if (schema.type === 'integer') t.match(schema.description, `${schema.minimum}..${schema.maximum}`, name)
    t.notMatch(schema.description, /^(the same|those|these)\b|\bbelow\b|\bso (long|much|many)\b/i, name)
  }
})
