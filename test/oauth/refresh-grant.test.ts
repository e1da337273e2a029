import t from 'tap'
import { createSessionStore } from '../../src/sessions/session-store.ts'
import { claimsOf, refresh, refreshVerdict, serverAt, signUp, type Tokens, verdict } from '../support/front-door.ts'
import { basic, NOW, outcome, type Registered, register, send } from '../support/oauth.ts'

const grant = ({ refresh_token }: Pick<Tokens, 'refresh_token'>, more = {}) => ({
  grant_type: 'refresh_token',
  refresh_token,
  ...more,
})

t.test('refresh works as at /v1/refresh, with and without the public client id', async (t) => {
  const { app, pass } = await serverAt(t, NOW)
  let tokens: Tokens = await signUp(app)
  for (const more of [{}, { client_id: 'signet' }, { scope: '' }, { resource: 'http://127.0.0.1:3000' }]) {
    pass(60)
    const reply = await send(app, 'token', grant(tokens, more))
    t.equal(reply.statusCode, 200, reply.body)
    t.match(reply.json(), { token_type: 'Bearer', expires_in: 600, scope: '', refresh_token: /^srt_/ })
    t.equal(reply.headers['cache-control'], 'no-store')
    t.notOk(reply.headers['set-cookie'])
    t.equal(await verdict(app, reply.json()), 'good')
    t.equal(claimsOf(reply.json()).sid, claimsOf(tokens).sid)
    tokens = reply.json()
  }
  const retried = await send(app, 'token', grant(tokens))
  const again = await send(app, 'token', grant(tokens))
  t.equal(again.json().refresh_token, retried.json().refresh_token, 'a retry gets the same successor')
  pass(60)
  const late = await send(app, 'token', grant(tokens))
  t.equal(outcome(late), 'good', 'an answer that was lost')
  t.equal(outcome(await send(app, 'token', grant(retried.json()))), 'invalid_grant', 'which somebody has')
  t.equal(outcome(await send(app, 'token', grant(late.json()))), 'invalid_grant', 'ends the session')
  t.equal(await verdict(app, late.json()), 'invalid_token')
})

t.test(
  'our own public client may name itself with Basic, and send the access token that it adds everywhere',
  async (t) => {
    const server = await serverAt(t, NOW)
    const { app, pass } = server
    const client = await register(server)
    const own = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString('base64')}` })
    let tokens: Tokens = await signUp(app)
    const stale = tokens.access_token
    const GOOD: [headers: Record<string, string>, more?: Record<string, string>][] = [
      [own('signet:')],
      [own('signet:'), { client_id: 'signet' }],
      [{ authorization: `Bearer ${stale}` }],
      [{ authorization: `bearer ${stale}` }, { client_id: 'signet' }],
      [{ authorization: 'Bearer undefined' }],
      [{ authorization: 'Bearer' }],
    ]
    for (const [headers, more] of GOOD) {
      pass(700) // the access token has expired
      const reply = await send(app, 'token', grant(tokens, more), headers)
      t.equal(reply.statusCode, 200, `${JSON.stringify(headers).slice(0, 60)} ${reply.body}`)
      tokens = reply.json()
    }
    const REFUSED: [headers: Record<string, string>, more: Record<string, string>, error: string][] = [
      [own('signet'), {}, 'invalid_client'],
      [own('signet:x'), {}, 'invalid_client'],
      [own(':'), {}, 'invalid_client'],
      [own(`${client.id}:`), {}, 'invalid_client'],
      [own('signet:'), { client_id: client.id }, 'invalid_request'],
      [own('signet:'), { client_secret: 'x' }, 'invalid_request'],
      [{ authorization: `Bearer ${stale}` }, { client_id: client.id }, 'invalid_client'],
      [{ authorization: 'Bearerx' }, {}, 'invalid_client'],
      [{ authorization: 'Digest x' }, {}, 'invalid_client'],
    ]
    for (const [headers, more, error] of REFUSED) {
      const reply = await send(app, 'token', grant(tokens, more), headers)
      t.equal(outcome(reply), error, `${JSON.stringify([headers, more]).slice(0, 90)}`)
    }
    const bearer = { authorization: `Bearer ${stale}` }
    const form = { client_id: client.id, client_secret: client.secret }
    t.equal(outcome(await send(app, 'token', { grant_type: 'client_credentials', ...form }, bearer)), 'invalid_request')
    t.equal(
      outcome(await send(app, 'introspect', { token: 'x' }, bearer)),
      'invalid_client',
      'people ask for nothing else',
    )

    const gone = await send(app, 'revoke', { token: tokens.refresh_token }, bearer)
    t.equal(gone.statusCode, 200, 'a logout with a stale token beside it')
    t.equal(await refreshVerdict(app, tokens), 'invalid_refresh_token')
  },
)

t.test('a refused request does not use the refresh token up', async (t) => {
  const server = await serverAt(t, NOW)
  const { app, pass } = server
  const client = await register(server)
  const user = await signUp(app)
  const as = basic(client.id, client.secret)
  const REFUSED: [more: Record<string, string>, headers: Record<string, string>, error: string][] = [
    [{}, as, 'invalid_grant'],
    [{}, basic(client.id, 'scs_wrong'), 'invalid_client'],
    [{ client_id: client.id }, {}, 'invalid_client'],
    [{ client_id: 'other' }, {}, 'invalid_client'],
    [{ scope: 'read' }, {}, 'invalid_scope'],
    [{ resource: 'https://x.example' }, {}, 'invalid_target'],
  ]
  for (const [more, headers, error] of REFUSED)
    t.equal(outcome(await send(app, 'token', grant(user, more), headers)), error, JSON.stringify(more))
  pass(60) // beyond the grace: a token that had been used would end the session now
  t.equal(await refreshVerdict(app, user), 'good')
})

/** A session that belongs to a client, written to the store directly: no grant makes one yet. */
async function sessionOf(server: Awaited<ReturnType<typeof serverAt>>, client: Registered, scope: string) {
  const user = await signUp(server.app)
  await server.database.query('UPDATE sessions SET client_id = $1, scope = $2 WHERE account_id = $3', [
    client.id,
    scope,
    user.id,
  ])
  return user
}

t.test('a session of a client is for that client, and its scope can be narrowed for one token', async (t) => {
  const server = await serverAt(t, NOW, { AUDIENCE: 'api,web' })
  const { app, pass } = server
  const [one, two] = [await register(server), await register(server)]
  const tokens = await sessionOf(server, one, 'a b')
  t.equal(outcome(await send(app, 'token', grant(tokens))), 'invalid_grant', 'not for the public client')
  t.equal(outcome(await send(app, 'token', grant(tokens), basic(two.id, two.secret))), 'invalid_grant')
  const as = basic(one.id, one.secret)
  const narrow = await send(app, 'token', grant(tokens, { scope: 'b', resource: 'web' }), as)
  t.match(narrow.json(), { scope: 'b' }, narrow.body)
  t.match(claimsOf(narrow.json()), { scope: 'b', aud: 'web', client_id: one.id })
  pass(60)
  const wide = await send(app, 'token', grant(narrow.json()), as)
  t.match(claimsOf(wide.json()), { scope: 'a b', aud: ['api', 'web'] }, 'the session keeps what it has')
  t.equal(outcome(await send(app, 'token', grant(wide.json(), { scope: 'a c' }), as)), 'invalid_scope')
  t.equal(
    outcome(await send(app, 'revoke', { token: wide.json().refresh_token }, basic(two.id, two.secret))),
    'unauthorized_client',
  )
  t.equal(outcome(await send(app, 'revoke', { token: wide.json().refresh_token }, as)), 'good')
  t.equal(outcome(await send(app, 'token', grant(wide.json()), as)), 'invalid_grant')
})

t.test('only a live session has an owner', async (t) => {
  const { app, database, now, pass } = await serverAt(t, NOW)
  const user = await signUp(app)
  const { sid } = claimsOf(user)
  const sessions = createSessionStore(database)
  const claim = { sessionId: sid, counter: 0 }
  t.match(await sessions.live(claim, now()), { accountId: user.id, clientId: 'signet', scope: '' })
  t.equal(await sessions.live({ ...claim, sessionId: 'x' }, now()), undefined)
  pass(2_592_000)
  t.equal(await sessions.live(claim, now()), undefined)
  t.equal((await refresh(app, user)).statusCode, 401)
})
