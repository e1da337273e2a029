import t from 'tap'
import { PASSWORD } from '../support/app.ts'
import { post, serverAt, signUp, type User } from '../support/front-door.ts'
import { mailOf, onlyMail } from '../support/inbox.ts'
import { call } from '../support/people.ts'

// What a message no longer allows, and the audit rows of attempts that led to nothing.

const server = await serverAt(t, 1_800_000_000, { NOTICES: 'none' })
const { app, database } = server
const NEXT = 'a new horse battery staple'

const change = ({ access_token }: User, new_email: string) =>
  call(app, access_token, 'PUT', '/v1/me/email', { new_email, password: PASSWORD })
const confirmEmail = (token: string) => post(app, '/v1/email/confirm', { token })
const recover = (token: string, new_password = NEXT) => post(app, '/v1/recovery/confirm', { token, new_password })
const reasonsOf = async (event: string, accountId: string | null) => {
  const rows = await database.query('SELECT account_id, detail FROM audit_events WHERE event = $1', [event])
  return rows.filter((row) => row.account_id === accountId).map(({ detail }) => JSON.parse(String(detail)).reason)
}

t.test(
  'what was asked for before the password changed makes no message after it, however late it is made',
  async (t) => {
    const secured: Record<string, (person: User) => Promise<unknown>> = {
      'a new password': (person) =>
        call(app, person.access_token, 'PUT', '/v1/me/password', { current_password: PASSWORD, new_password: NEXT }),
      'another address': ({ id }) =>
        database.query('UPDATE accounts SET email = $2 WHERE id = $1', [id, `${id.toLowerCase()}@example.com`]),
    }
    for (const [name, secure] of Object.entries(secured)) {
      const person = await signUp(app)
      t.equal((await change(person, 'thief@example.org')).statusCode, 202) // the message waits
      await secure(person)
      t.same(await mailOf(server), [], name)
    }
  },
)

t.test('a good token that leads to no new password is in the trail of its account', async (t) => {
  const { id, email } = await signUp(app)
  await post(app, '/v1/recovery', { email })
  const { token } = await onlyMail(server)
  t.equal((await recover(token, 'short')).statusCode, 422)
  t.same(await reasonsOf('recovery_failed', id), ['password_unacceptable'])
  const both = await Promise.all([recover(token), recover(token)])
  t.same(both.map(({ statusCode }) => statusCode).toSorted(), [204, 400])
  const reasons = await reasonsOf('recovery_failed', id)
  t.match(reasons.length + (await reasonsOf('recovery_failed', null)).length, 2, 'one row for each refusal')
})

t.test('of two accounts that confirm one address the trail has the one that does not get it', async (t) => {
  const [person, rival] = [await signUp(app), await signUp(app)]
  const tokens: string[] = []
  for (const one of [person, rival]) {
    await change(one, 'wanted@example.org')
    tokens.push((await onlyMail(server)).token)
  }
  const statuses = []
  for (const token of tokens) statuses.push((await confirmEmail(token)).statusCode)
  t.same(statuses, [204, 400])
  t.same(await reasonsOf('email_confirmation_failed', person.id), [])
  t.same(await reasonsOf('email_confirmation_failed', rival.id), ['invalid_recovery_token'])
  const wayBack = await onlyMail(server)
  const disown = () => post(app, '/v1/notices/revoke', { token: wayBack.token })
  t.equal((await disown()).statusCode, 204)
  t.equal((await disown()).statusCode, 400, 'a second time')
  t.same(await reasonsOf('disown_failed', null), ['no such token'])
  t.match(await onlyMail(server), { kind: 'recovery', to: person.email })
})

t.test('an address that somebody has is refused in silence, but not in the trail', async (t) => {
  const [person, owner] = [await signUp(app), await signUp(app)]
  t.equal((await change(person, owner.email)).statusCode, 202)
  t.same(await mailOf(server), [])
  t.same(await reasonsOf('email_change_failed', person.id), ['somebody has the address'])
  t.same(await reasonsOf('email_change_failed', owner.id), [])
})

t.test('what a request puts into the outbox is small, however much its headers say', async (t) => {
  const headers = { 'accept-language': `de-CH, ${'fr;q=0.1, '.repeat(1000)}en`, 'user-agent': 'x'.repeat(4000) }
  const payload = { email: `${'a'.repeat(60)}@example.com` }
  t.equal((await app.inject({ method: 'POST', url: '/v1/recovery', payload, headers })).statusCode, 202)
  const [row, ...more] = await database.query("SELECT LENGTH(sealed) AS size FROM outbox WHERE state = 'caused'")
  t.ok(Number(row?.size) < 1500, String(row?.size))
  t.same(more, [])
  await mailOf(server)
})
