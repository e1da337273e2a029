import fc from 'fast-check'
import type { App } from '../../../../src/http/app-type.ts'
import { anyText } from '../../../../test/support/any-text.ts'
import { bearer, PASSWORD, startApp, type TestServer } from '../../../../test/support/app.ts'
import { signUp, signUpAdmin, type User } from '../../../../test/support/front-door.ts'
import { codeOf, complaints } from '../answers.ts'
import { type Edit, edited, editsOnceIn } from '../edits.ts'
import { documentedRoutes, escaped, nearly, type Route, segment } from '../requests.ts'
import { demand, demandNone, type Target } from '../target.ts'

const ACTORS = ['nobody', 'user', 'admin'] as const
type Actor = (typeof ACTORS)[number]
const JSON_TYPE = 'application/json'
const TYPES = [
  JSON_TYPE,
  'application/json; charset=utf-8',
  'Application/JSON',
  'application/json\t',
  ' application/json',
  'application/json;a',
  'text/plain',
  'application/x-www-form-urlencoded',
  'multipart/form-data; boundary=x',
  'application/jsonx',
  '',
]
/** Texts that mean something. Placeholders are replaced when the request is sent, so that a case can be repeated. */
const WORDS = [
  '<email>',
  '<id>',
  '<session>',
  '<refresh>',
  '<token>',
  'nobody@example.com',
  'a brand new password of 2027',
]

/**
 * The errors that an unauthenticated caller may get on a protected route: that the token is missing, or that the
 * request or its path is wrong.
 */
const TO_NOBODY = ['missing_token', 'malformed_request', 'uri_too_long', 'not_found', 'method_not_allowed']

/** The errors that a caller gets after the session has ended. */
const GONE = ['invalid_token', 'token_stale', 'token_expired']

interface Attempt {
  readonly actor: Actor
  readonly route: Route
  readonly id: string
  readonly query: Readonly<Record<string, string>>
  readonly body: unknown
  readonly type: string
  readonly edits: readonly Edit[] | null
}

/**
 * Every documented route, with bodies, parameters and queries that are almost right; without a token, as a user and as
 * an admin.
 */
export const bodies: Target = {
  name: 'bodies',
  async prepare(stage) {
    const server = await startApp(stage as never, { now: () => 1_800_000_000 })
    const routes = (await documentedRoutes(server.app)).filter(({ path }) => !path.startsWith('/oauth/'))
    const cast = createCast(server)
    let keeper = await signUp(server.app)
    const property = fc.asyncProperty(attempts(routes), async (attempt) => {
      const { route, actor } = attempt
      const who = await cast.current(actor)
      const request = requestOf(attempt, who)
      const answer = await server.app.inject(request)
      if (GONE.includes(codeOf(answer) ?? '')) cast.dismiss(actor)
      const secrets = [PASSWORD, who?.access_token, who?.refresh_token].filter((text) => text !== undefined)
      demandNone(complaints(answer, secrets))
      if (!route.open && actor === 'nobody')
        demand(TO_NOBODY.includes(codeOf(answer) ?? ''), `${answer.statusCode} ${codeOf(answer)} for nobody`)
      if (answer.statusCode < 300) assertAllowed(attempt, request.payload)
      if (codeOf(answer) === 'insufficient_scope') demand(actor === 'user', 'the admin may not')
    })
    return {
      property: property as fc.IAsyncProperty<unknown>,
      async wellbeing() {
        keeper = await standing(server.app, keeper)
      },
    }
  },
}

function attempts(routes: readonly Route[]): fc.Arbitrary<Attempt> {
  const withBody = routes.filter(({ body }) => body !== undefined)
  const route = fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...withBody) }, fc.constantFrom(...routes))
  return route.chain((route) =>
    fc.record({
      actor: fc.constantFrom(...ACTORS),
      route: fc.constant(route),
      id: segment(['<id>', '<session>']),
      query: fc.dictionary(fc.constantFrom(...route.query, 'x', '__proto__'), anyText({ maxLength: 20 }), {
        maxKeys: 2,
      }),
      body: nearly(route.body?.schema ?? {}, WORDS),
      type: fc.oneof({ weight: 9, arbitrary: fc.constant(JSON_TYPE) }, fc.constantFrom(...TYPES)),
      edits: editsOnceIn(6),
    }),
  )
}

function requestOf({ route, id, query, body, type, edits }: Attempt, who: User | undefined) {
  const real = (text: string) =>
    text
      .replaceAll('<email>', who?.email ?? '')
      .replaceAll('<id>', who?.id ?? '')
      .replaceAll('<session>', who === undefined ? '' : sessionOf(who))
      .replaceAll('<refresh>', who?.refresh_token ?? '')
      .replaceAll('<token>', who?.access_token ?? '')
  const search = Object.entries(query).map(([name, value]) => `${escaped(name)}=${escaped(value)}`)
  const url = `${real(route.path.replaceAll(/\{\w+\}/g, () => id))}${search.length === 0 ? '' : `?${search.join('&')}`}`
  const headers = { ...(who && bearer(who.access_token)) }
  if (route.body === undefined) return { method: route.method, url, headers }
  const text = Buffer.from(real(JSON.stringify(body) ?? ''))
  const payload = edits === null ? text : edited(text, edits)
  return { method: route.method, url, headers: { ...headers, 'content-type': type }, payload }
}

const sessionOf = ({ access_token }: User) =>
  JSON.parse(Buffer.from(access_token.split('.')[1] ?? '', 'base64url').toString()).sid

/** A successful request must match the document, and its sender must have been allowed to make it. */
function assertAllowed({ route, actor }: Attempt, payload: Buffer | undefined): void {
  const { path, open, body } = route
  demand(open || actor !== 'nobody', 'done for nobody')
  demand(!path.startsWith('/v1/admin/') || actor === 'admin', `done for ${actor}`)
  if (body === undefined || payload === undefined) return
  const schema = body.schema.anyOf?.[0] ?? body.schema
  const sent = JSON.parse(String(payload === undefined || payload.length === 0 ? 'null' : payload)) ?? {}
  demand(typeof sent === 'object' && !Array.isArray(sent), 'a body that is no object')
  const unknown = Object.keys(sent).filter((name) => !Object.hasOwn(schema.properties ?? {}, name))
  demand(unknown.length === 0, `done with the unknown members ${unknown.join()}`)
  const missing = (schema.required ?? []).filter((name) => !Object.hasOwn(sent, name))
  demand(missing.length === 0, `done without ${missing.join()}`)
  if (path === '/v1/login')
    demand(sent.password.normalize('NFKC') === PASSWORD || accepted.has(sent.password), 'a wrong password logs in')
  if (path === '/v1/accounts') accepted.add(sent.password)
  if (path === '/v1/me/password') accepted.add(sent.new_password)
}
/** Passwords that an account got during the run. */
const accepted = new Set<string>()

/** The accounts that send requests. When the session of one has ended, a new account takes its place. */
function createCast(server: TestServer) {
  const people: Partial<Record<Actor, User>> = {}
  return {
    async current(actor: Actor): Promise<User | undefined> {
      if (actor === 'nobody') return undefined
      people[actor] ??= actor === 'admin' ? await signUpAdmin(server) : await signUp(server.app)
      return people[actor]
    },
    dismiss(actor: Actor): void {
      delete people[actor]
    },
  }
}

/**
 * An account that no request is about can still do everything.
 *
 * @returns the same account with the tokens of a new session
 */
async function standing(app: App, keeper: User): Promise<User> {
  const me = await app.inject({ url: '/v1/me', headers: bearer(keeper.access_token) })
  demand(me.statusCode === 200, `a good token: ${me.body}`)
  const login = await app.inject({
    method: 'POST',
    url: '/v1/login',
    payload: { email: keeper.email, password: PASSWORD },
  })
  demand(login.statusCode === 200, `a good login: ${login.body}`)
  const { refresh_token } = login.json()
  const refreshed = await app.inject({ method: 'POST', url: '/v1/refresh', payload: { refresh_token } })
  demand(refreshed.statusCode === 200, `a good refresh: ${refreshed.body}`)
  return { ...keeper, ...refreshed.json() }
}
