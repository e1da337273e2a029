import { readFile } from 'node:fs/promises'
import type { RouteOptions } from 'fastify'
import t from 'tap'
import { Settings } from '../../src/config/settings.ts'
import type { RouteLimit } from '../../src/limits/limiter.ts'
import { bearer, newUser, startApp } from '../support/app.ts'

// Which route does dear work, and what bounds it: the table of src/limits/README.md against the routes of the server.

/** The setting behind each quota of a route, without RATE_LIMIT_. */
const SETTINGS: Readonly<Record<RouteLimit, string>> = {
  login: 'LOGIN',
  register: 'REGISTER',
  refresh: 'REFRESH',
  password: 'PASSWORD_CHANGE',
  recovery: 'RECOVERY',
  confirm: 'CONFIRM',
  token: 'TOKEN',
  introspect: 'INTROSPECT',
  store: 'STORE',
}
const OTHERS = ['PASSWORD_QUEUE', 'FEED_MAX_WAITERS', 'DOCS']

const page = await readFile(new URL('../../src/limits/README.md', import.meta.url), 'utf8')
const rows = page
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) => line.split('|').map((cell) => cell.trim()))
  .map(([, route = '', work = '', , bound = '']) => ({ route: route.replaceAll('`', ''), work, bound }))
const rowOf = (name: string) => rows.find(({ route }) => route === name)

const routes: RouteOptions[] = []
await startApp(t, { onRoute: (route) => void routes.push(route) })
const own = routes.filter(({ method, url }) => method !== 'HEAD' && url !== '*' && !/^\/docs\/./.test(url))
const named = own
  .filter(({ url }) => url !== '/docs/')
  .map((route) => ({ ...route, name: `${route.method} ${route.url}` }))

t.test('every route is in the table, and the table has no other', async (t) => {
  t.same(rows.map(({ route }) => route).toSorted(), [...new Set(named.map(({ name }) => name))].toSorted())
})

t.test('a row names the quotas that its route spends from, and every name is a setting', async (t) => {
  for (const { name, config } of named) {
    const bounds = [...(rowOf(name)?.bound.matchAll(/`([A-Z_]+)`/g) ?? [])].map(([, setting = '']) => setting)
    const spent = [
      ...(config?.limit === undefined ? [] : [SETTINGS[config.limit]]),
      ...(config?.auth === 'live' ? ['STORE'] : []),
    ]
    for (const setting of spent) t.ok(bounds.includes(setting), `${name}: ${setting}`)
    if (spent.length === 0)
      t.notOk(
        bounds.some((setting) => Object.values(SETTINGS).includes(setting)),
        name,
      )
    for (const setting of bounds)
      t.ok(OTHERS.includes(setting) || `RATE_LIMIT_${setting}` in Settings.properties, `${name}: ${setting}`)
  }
})

t.test(
  'what hashes, signs or asks the store for one request is bounded, and what says memory does neither',
  async (t) => {
    for (const { name, config } of named) {
      const bounded = config?.limit !== undefined || config?.auth === 'live'
      const { work = '' } = rowOf(name) ?? {}
      t.match(work, /^(memory|shared query|store|hash)/, name)
      t.equal(bounded, /(^|, |two )(store|hash|hashes|sign)(,|$)/.test(work), `${name}: ${work}`)
      const asksStore = config?.errors?.includes('store_unavailable') || config?.oauthErrors?.includes('invalid_client')
      if (asksStore) t.ok(bounded, `${name} may answer store_unavailable`)
    }
  },
)

t.test('a route that the table calls memory asks nothing of the store, in fact', async (t) => {
  const { app, database } = await startApp(t)
  const { token } = await newUser(app)
  let asked = 0
  for (const call of ['query', 'transaction'] as const) {
    const original = database[call] as (...args: unknown[]) => unknown
    Object.assign(database, {
      [call]: (...args: unknown[]) => {
        if (!String(args[0]).includes('FROM revocations')) asked += 1 // the loop that follows them
        return original.apply(database, args)
      },
    })
  }
  const cheap = rows.filter(({ work }) => work.startsWith('memory'))
  t.ok(cheap.length >= 7)
  for (const { route } of cheap) {
    const [method = '', url = ''] = route.split(' ')
    await app.inject({ method: method as 'GET', url, headers: bearer(token) })
  }
  t.equal(asked, 0)
  await app.inject('/health/ready')
  t.equal(asked, 1, 'the count counts')
})
