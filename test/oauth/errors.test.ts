import t from 'tap'
import { storeUnavailable } from '../../src/db/database.ts'
import { startApp } from '../support/app.ts'
import { publicPart } from '../support/front-door.ts'
import { basic, clientToken, NOW, outcome, register, send } from '../support/oauth.ts'

const now = () => NOW

const server = await startApp(t, { now })
const CC = 'grant_type=client_credentials'
const JWT = 'client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer'

t.test('every refusal is in the words of RFC 6749 section 5.2', async (t) => {
  const { id, secret } = await register(server)
  const good = basic(id, secret)
  const raw = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString('base64')}` })
  const utf16 = { ...good, 'content-type': 'application/x-www-form-urlencoded; charset=utf-16' }
  const CASES: [name: string, form: string, headers: Record<string, string>, status: number, error: string][] = [
    ['no grant type', '', good, 400, 'invalid_request'],
    ['an empty grant type', 'grant_type=', good, 400, 'invalid_request'],
    ['a grant type of which there are two', `${CC}&${CC}`, good, 400, 'invalid_request'],
    ['an empty one beside a full one', `${CC}&grant_type=`, good, 400, 'invalid_request'],
    ['scope twice', `${CC}&scope=read&scope=write`, good, 400, 'invalid_request'],
    ['an unknown parameter twice', `${CC}&x=1&x=2`, good, 400, 'invalid_request'],
    ['the password grant', 'grant_type=password&username=a&password=b', good, 400, 'unsupported_grant_type'],
    ['an unknown grant type', 'grant_type=constructor', good, 400, 'unsupported_grant_type'],
    ['refresh without a token', 'grant_type=refresh_token', {}, 400, 'invalid_request'],
    ['refresh with garbage', 'grant_type=refresh_token&refresh_token=srt_x', {}, 400, 'invalid_grant'],
    ['no client', CC, {}, 401, 'invalid_client'],
    ['only a client id', `${CC}&client_id=${id}`, {}, 401, 'invalid_client'],
    ['our own public client', `${CC}&client_id=signet`, {}, 401, 'invalid_client'],
    ['our own public client with a secret', CC, basic('signet', 'x'), 401, 'invalid_client'],
    ['a wrong secret', CC, basic(id, `${secret}x`), 401, 'invalid_client'],
    ['an empty secret', CC, raw(`${id}:`), 401, 'invalid_client'],
    ['no colon', CC, raw(id), 401, 'invalid_client'],
    ['a broken escape', CC, raw(`${id}:%zz`), 401, 'invalid_client'],
    ['no base64', CC, { authorization: 'Basic ?' }, 401, 'invalid_client'],
    ['Basic alone', CC, { authorization: 'Basic' }, 401, 'invalid_client'],
    ['another scheme', CC, { authorization: 'Bearer x' }, 401, 'invalid_client'],
    ['an unknown client', CC, basic(`client_${'x'.repeat(22)}`, secret), 401, 'invalid_client'],
    ['a NUL in the id', CC, raw(`${id}%00:${secret}`), 401, 'invalid_client'],
    ['two client ids', `${CC}&client_id=other`, good, 400, 'invalid_request'],
    ['Basic and post', `${CC}&client_id=${id}&client_secret=${secret}`, good, 400, 'invalid_request'],
    ['Basic and an assertion', `${CC}&${JWT}&client_assertion=x`, good, 400, 'invalid_request'],
    ['post and an assertion', `${CC}&client_id=${id}&client_secret=${secret}&${JWT}`, {}, 400, 'invalid_request'],
    ['a secret without an id', `${CC}&client_secret=${secret}`, {}, 400, 'invalid_request'],
    ['an assertion without its type', `${CC}&client_assertion=x`, {}, 400, 'invalid_request'],
    ['the type of an assertion alone', `${CC}&${JWT}`, {}, 400, 'invalid_request'],
    ['another type of assertion', `${CC}&client_assertion=x&client_assertion_type=y`, {}, 401, 'invalid_client'],
    ['an assertion of nobody', `${CC}&client_assertion=x&${JWT}`, {}, 401, 'invalid_client'],
    ['more scope than is allowed', `${CC}&scope=admin`, good, 400, 'invalid_scope'],
    ['a scope that is too long', `${CC}&scope=${'a'.repeat(2049)}`, good, 400, 'invalid_request'],
    ['another resource', `${CC}&resource=https://x.example`, good, 400, 'invalid_target'],
    ['nine resources', CC + '&resource=x'.repeat(9), good, 400, 'invalid_request'],
    ['a broken escape in the form', `${CC}&scope=%`, good, 400, 'invalid_request'],
    ['half a character', `${CC}&scope=%c3`, good, 400, 'invalid_request'],
    ['a NUL', `${CC}&scope=a%00`, good, 400, 'invalid_request'],
    ['a body of more than 16 KB', `${CC}&x=${'y'.repeat(17_000)}`, good, 400, 'invalid_request'],
    [
      'JSON',
      '{"grant_type":"client_credentials"}',
      { ...good, 'content-type': 'application/json' },
      400,
      'invalid_request',
    ],
    ['text', CC, { ...good, 'content-type': 'text/plain' }, 400, 'invalid_request'],
    ...['iso-8859-1', 'us-ascii', 'utf-16', 'x'].flatMap((charset): typeof CASES => {
      const headers = { ...good, 'content-type': `application/x-www-form-urlencoded; charset=${charset}` }
      return [
        [`${charset} and no ASCII`, `${CC}&x=%C3%A9`, headers, 400, 'invalid_request'],
        [`${charset} and a byte of it`, `${CC}&x=%E9`, headers, 400, 'invalid_request'],
      ]
    }),
    ['UTF-16 in name and deed', `\0${[...CC].join('\0')}`, utf16, 400, 'invalid_request'],
  ]
  for (const [name, form, headers, status, error] of CASES) {
    const reply = await send(server.app, 'token', form, headers)
    t.equal(reply.statusCode, status, name)
    const body = reply.json()
    t.same(Object.keys(body), ['error', 'error_description'], name)
    t.equal(body.error, error, name)
    t.match(body.error_description, /^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/, 'characters of RFC 6749')
    t.equal(reply.headers['cache-control'], 'no-store')
    t.match(reply.headers['content-type'], /^application\/json/)
    t.equal(reply.headers['www-authenticate'], status === 401 ? 'Basic realm="signet", charset="UTF-8"' : undefined)
  }
  for (const secretText of [secret, id])
    t.notMatch(server.log.join('\n').replaceAll(`"client_id":"${id}"`, ''), secretText)
})

t.test('unknown and empty parameters are ignored', async (t) => {
  const { app } = server
  const client = await register(server)
  const headers = basic(client.id, client.secret)
  for (const form of [
    `${CC}&unknown=1`,
    `${CC}&scope=`,
    `&&${CC}&`,
    `${CC}&client_secret=`,
    `${CC}&__proto__=x`,
    `${CC}&x`,
  ])
    t.equal(outcome(await send(app, 'token', form, headers)), 'good', form)
  for (const type of [
    'Application/X-WWW-Form-Urlencoded; Charset="utf-8"',
    'application/x-www-form-urlencoded;charset=UTF8',
    ...['ISO-8859-1', 'iso-8859-15', 'us-ascii', 'US-ASCII', 'windows-1252', '"ISO-8859-1"', 'latin1', 'x'].map(
      (charset) => `application/x-www-form-urlencoded; charset=${charset}`,
    ),
    'application/x-www-form-urlencoded; charset=',
    'application/x-www-form-urlencoded;',
    'application/x-www-form-urlencoded; boundary=x',
  ])
    t.equal(outcome(await send(app, 'token', CC, { ...headers, 'content-type': type })), 'good', type)
})

t.test('parameters in the query string are refused', async (t) => {
  const { id, secret } = await register(server)
  for (const path of ['token', 'revoke', 'introspect'])
    for (const query of [`client_id=${id}&client_secret=${secret}`, CC, 'x', 'token=x']) {
      const payload = `${CC}&token=x`
      const headers = { ...basic(id, secret), 'content-type': 'application/x-www-form-urlencoded' }
      const reply = await server.app.inject({ method: 'POST', url: `/oauth/${path}?${query}`, payload, headers })
      t.match([reply.statusCode, reply.json()], [400, { error: 'invalid_request' }], `${path}?${query}`)
    }
  t.notMatch(server.log.join('\n'), secret)
  t.equal((await server.app.inject({ url: '/oauth/token' })).statusCode, 405)
})

t.test('two Authorization lines are refused', async (t) => {
  const { id, secret } = await register(server)
  const { authorization } = basic(id, secret)
  const url = await server.app.listen({ port: 0, host: '127.0.0.1' })
  const { request } = await import('node:http')
  const status = await new Promise((resolve, reject) => {
    const headers = ['authorization', authorization, 'authorization', authorization]
    const type = ['content-type', 'application/x-www-form-urlencoded', 'host', 'x', 'content-length', String(CC.length)]
    const sent = request(`${url}/oauth/token`, { method: 'POST', headers: [...headers, ...type] }, (reply) => {
      reply.resume()
      resolve(reply.statusCode)
    })
    sent.on('error', reject).end(CC)
  })
  t.equal(status, 400)
})

t.test('an unknown client, a wrong secret and a disabled client look the same', async (t) => {
  const server = await startApp(t, { now })
  const { app } = server
  const client = await register(server)
  const disabled = await register(server)
  await server.database.query("UPDATE clients SET status = 'disabled' WHERE id = $1", [disabled.id])
  const unknown = { ...client, id: `client_${'A'.repeat(22)}` }
  const answers = [unknown, { ...client, secret: 'scs_wrong' }, disabled].map(async (who) =>
    publicPart(await clientToken(app, who)),
  )
  t.equal(new Set(await Promise.all(answers)).size, 1)
  const rows = await server.database.query(
    "SELECT detail FROM audit_events WHERE event = 'client_authentication_failed' ORDER BY detail",
  )
  t.same(
    rows.map(({ detail }) => JSON.parse(String(detail))).map(({ reason, client_id }) => [reason, client_id]),
    [
      ['the client is disabled', disabled.id],
      ['unknown client', null],
      ['wrong secret', client.id],
    ],
  )
})

t.test('without the store the answer is temporarily_unavailable, and says when to come again', async (t) => {
  const client = await register(server)
  server.database.query = async () => {
    throw storeUnavailable('away')
  }
  const reply = await clientToken(server.app, client)
  t.equal(reply.statusCode, 503)
  t.equal(reply.headers['retry-after'], '2')
  t.same(reply.json().error, 'temporarily_unavailable')
  server.database.query = async () => {
    throw new Error('a bug')
  }
  const bug = await clientToken(server.app, client)
  t.match([bug.statusCode, bug.json()], [500, { error: 'server_error' }])
  t.notMatch(bug.body, 'a bug')
})
