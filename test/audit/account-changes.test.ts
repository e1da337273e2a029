import t from 'tap'
import { startApp } from '../support/app.ts'
import { administer, signUp, signUpAdmin } from '../support/front-door.ts'

// What an admin changes of an account is in the trail: each thing once, with what it was before.

const server = await startApp(t)
const admin = await signUpAdmin(server)

async function stage() {
  const { id } = await signUp(server.app)
  const rows = async (sql: string) => server.database.query(sql, [id])
  return {
    patch: (change: object) => administer(server.app, admin, id, change),
    version: async () => (await rows('SELECT token_version FROM accounts WHERE id = $1'))[0]?.token_version,
    trail: async () =>
      (
        await rows(`SELECT event, detail FROM audit_events
          WHERE account_id = $1 AND event NOT IN ('account_registered', 'login_succeeded') ORDER BY event`)
      ).map(({ event, detail }) => [event, JSON.parse(String(detail))]),
  }
}

t.test('a change of status and roles is two events, and what is already so is none', async (t) => {
  const { patch, trail, version } = await stage()
  const original = await version()
  const same = await patch({ status: 'active', roles: [] })
  t.match(same.json(), { status: 'active', roles: [] })
  t.same([same.statusCode, await trail(), await version()], [200, [], original])

  await patch({ status: 'suspended', roles: ['support', 'auditor'] })
  const expected = [
    ['account_suspended', { status: 'suspended', status_before: 'active' }],
    ['roles_changed', { roles: ['support', 'auditor'], roles_before: [] }],
  ]
  t.same(await trail(), expected)
  const changed = await version()

  await patch({ status: 'suspended' })
  await patch({ roles: ['auditor', 'support'] })
  t.same([await trail(), await version()], [expected, changed], 'another order of the same roles')
  await patch({ status: 'suspended', roles: [] })
  t.same((await trail()).length, 3, 'only what changed')
})

t.test('changes at once: each row says what its change found', async (t) => {
  const { patch, trail } = await stage()
  await Promise.all(['a', 'b', 'c', 'd'].map((role) => patch({ roles: [role] })))
  const steps = (await trail()).map(([, detail]) => detail)
  t.equal(steps.length, 4)
  const found = steps.map(({ roles_before }) => String(roles_before))
  t.equal(new Set(found).size, 4, 'no two found the same')
  t.ok(found.includes(''))
  t.ok(found.every((roles) => roles === '' || steps.some((step) => String(step.roles) === roles)))
})
