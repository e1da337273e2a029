import fc from 'fast-check'
import type { App } from '../../../../src/http/app-type.ts'
import { randomId } from '../../../../src/ids.ts'
import { startApp } from '../../../../test/support/app.ts'
import { assertion, clientKey } from '../../../../test/support/assertion.ts'
import { signUp } from '../../../../test/support/front-door.ts'
import { basic, introspected, NOW, type Registered, register, send, tokenOf } from '../../../../test/support/oauth.ts'
import { type Answer, complaints } from '../answers.ts'
import { type Edit, edited, editedText, editsOnceIn } from '../edits.ts'
import { documentedRoutes, nearly, type Schema } from '../requests.ts'
import { demand, demandNone, type Target } from '../target.ts'

const WAYS = ['none', 'basic', 'post', 'assertion'] as const
const WORDS = [
  'client_credentials',
  'refresh_token',
  'password',
  'authorization_code',
  'read',
  'read write',
  'admin',
  '<refresh>',
  '<access>',
  '<id>',
  'signet',
  'access_token',
]
const CREDENTIAL = ['client_id', 'client_secret', 'client_assertion', 'client_assertion_type']

interface Attempt {
  readonly path: 'token' | 'revoke' | 'introspect'
  readonly form: unknown
  readonly way: (typeof WAYS)[number]
  /** Null when the credential is good. */
  readonly spoiled: readonly Edit[] | null
  readonly edits: readonly Edit[] | null
}

interface Clients {
  readonly secret: Registered
  readonly keys: Registered
  readonly key: ReturnType<typeof clientKey>
}

/** The forms of `/oauth/*`, with client credentials that are good, almost good or absent. */
export const oauth: Target = {
  name: 'oauth',
  async prepare(stage) {
    const server = await startApp(stage as never, { now: () => NOW })
    const { app } = server
    const key = clientKey('ES256')
    const clients: Clients = {
      key,
      secret: await register(server),
      keys: await register(server, {
        token_endpoint_auth_method: 'private_key_jwt',
        jwks: { keys: [key.jwk as never] },
      }),
    }
    let user = await signUp(app)
    const property = fc.asyncProperty(await attempts(app), async (attempt) => {
      const words: Words = { '<refresh>': user.refresh_token, '<access>': user.access_token, '<id>': clients.secret.id }
      const { body, headers, authentic } = await requestOf(attempt, clients, words)
      const answer = await send(app, attempt.path, body, headers)
      const secrets = [clients.secret.secret, user.refresh_token, user.access_token]
      demandNone(complaints(answer, secrets))
      if (answer.statusCode === 200) assertAllowed(attempt, answer, authentic)
      const next = answer.statusCode === 200 && attempt.path === 'token' ? answer.json().refresh_token : undefined
      if (next !== undefined || (attempt.path === 'revoke' && answer.statusCode === 200)) user = await signUp(app)
    })
    return {
      property: property as fc.IAsyncProperty<unknown>,
      async wellbeing() {
        const token = await tokenOf(app, clients.secret)
        demand((await introspected(app, clients.secret, token)).active === true, 'a good token is not active')
        demand((await send(app, 'token', await assertion(key, clients.keys.id))).statusCode === 200, 'a good assertion')
      },
    }
  },
}

async function attempts(app: App): Promise<fc.Arbitrary<Attempt>> {
  const routes = (await documentedRoutes(app)).filter(({ path, body }) => path.startsWith('/oauth/') && body)
  return fc.constantFrom(...routes).chain(({ path, body }) =>
    fc.record({
      path: fc.constant(path.slice('/oauth/'.length) as Attempt['path']),
      form: nearly(withoutCredential(body?.schema ?? {}), WORDS),
      way: fc.constantFrom(...WAYS),
      spoiled: editsOnceIn(3),
      edits: editsOnceIn(6),
    }),
  )
}

const withoutCredential = (schema: Schema): Schema => ({
  ...schema,
  properties: Object.fromEntries(
    Object.entries(schema.properties ?? {}).filter(([name]) => !CREDENTIAL.includes(name)),
  ),
})

type Words = Readonly<Record<string, string>>

async function requestOf({ form, way, spoiled, edits }: Attempt, clients: Clients, words: Words) {
  const credential = await credentialOf(way, spoiled, clients)
  const pairs = [...pairsOf(form, words), ...Object.entries(credential.form)]
  const text = pairs.map(([name, value]) => `${encoded(name)}=${encoded(value)}`).join('&')
  const body = edits === null ? text : editedText(text, edits)
  const whole = new URLSearchParams(body)
  // A form that was edited may still contain the good credential, or not.
  const shown = way === 'basic' || Object.entries(credential.form).every(([name, value]) => whole.get(name) === value)
  return { body, headers: credential.headers, authentic: credential.good && shown }
}

function pairsOf(form: unknown, words: Words): [string, string][] {
  if (typeof form !== 'object' || form === null) return [['grant_type', String(form)]]
  return Object.entries(form).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map((one): [string, string] => {
      const text = typeof one === 'string' ? one : (JSON.stringify(one) ?? '')
      return [name, Object.hasOwn(words, text) ? (words[text] ?? '') : text]
    }),
  )
}

const encoded = (text: string) => encodeURIComponent(text.toWellFormed())

/** A credential, sent with one of the methods. `good` when its meaning is still that of the good one. */
async function credentialOf(way: Attempt['way'], spoiled: readonly Edit[] | null, { secret, keys, key }: Clients) {
  const change = (text: string) => (spoiled === null ? text : edited(Buffer.from(text), spoiled).toString('latin1'))
  const none: Record<string, string> = {}
  if (way === 'basic') {
    const good = basic(secret.id, secret.secret).authorization
    const authorization = change(good)
    return { form: none, headers: { authorization }, good: meaning(authorization) === meaning(good) }
  }
  if (way === 'post') {
    const client_secret = change(secret.secret)
    return { form: { client_id: secret.id, client_secret }, headers: none, good: client_secret === secret.secret }
  }
  if (way === 'none') return { form: none, headers: none, good: false }
  const { client_assertion: good, client_assertion_type } = await assertion(key, keys.id, {
    claims: { jti: randomId() },
  })
  const client_assertion = change(good)
  const form: Record<string, string> = { client_assertion, client_assertion_type }
  return { form, headers: none, good: bytesOf(client_assertion) === bytesOf(good) }
}

/** The id and the secret in a Basic header, however they are encoded. */
function meaning(authorization: string): string {
  const [, base64 = ''] = /^basic +(\S+)$/i.exec(authorization) ?? []
  const pair = Buffer.from(base64, 'base64').toString().replaceAll('+', ' ')
  return URLSearchParams.prototype.toString.call(new URLSearchParams(`v=${pair}`))
}

/**
 * The three parts of a JWT as bytes: the unused bits of a last base64url character mean nothing. An assertion counts
 * only once anyway, because of its `jti`.
 */
const bytesOf = (jwt: string) =>
  JSON.stringify(jwt.split('.').map((part) => Buffer.from(part, 'base64url').toString('hex')))

function assertAllowed(
  { path, way }: Attempt,
  answer: Answer & { json(): Record<string, unknown> },
  authentic: boolean,
): void {
  demand(
    authentic || (way === 'none' && path !== 'introspect') || path === 'revoke',
    `${path} done for a client that is not known`,
  )
  if (path === 'token') {
    demand(answer.headers['cache-control'] === 'no-store', 'a token that may be cached')
    demand(authentic || answer.json().refresh_token !== undefined, 'a token for a client without a credential')
  }
}
