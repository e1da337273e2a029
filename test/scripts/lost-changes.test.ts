import { execFileSync } from 'node:child_process'
import t from 'tap'
import { type Lookups, lostChanges } from '../../scripts/cli/lost-changes.ts'

const TIME = '2026-11-30T02:00:00Z'
const client = async () => undefined

/** What a shell would run for the remedies of these events of an account that has this email. */
async function commands(email: string, events: readonly object[], account: object): Promise<string[][]> {
  const lines = events.map((event) => JSON.stringify({ time: TIME, account_id: 'acc_1', ...event }))
  const lookups: Lookups = {
    client,
    account: async () => ({ email, status: 'active', roles: [], ...account }) as never,
  }
  const { lost } = await lostChanges(lines, 0, lookups)
  return lost.map(({ remedy }) => {
    const words = remedy.replace(/^.*(?=npm run accounts --)/, '').replace('npm run accounts --', 'printf "%s\\n"')
    return execFileSync('sh', ['-c', words]).toString().trimEnd().split('\n')
  })
}

t.test('a shell reads the emails and roles of the commands as they are', async (t) => {
  const emails = ['ada+1@example.com', "o'hara@example.com", '$(id)&;$HOME`id`@example.com', '*|{a,b}!#~@x.example']
  for (const email of emails) {
    for (const event of ['account_deleted', 'account_suspended', 'password_changed'])
      t.same(await commands(email, [{ event }], {}), [['suspend', email]], `${event} ${email}`)
    t.same(await commands(email, [{ event: 'account_activated' }], { status: 'suspended' }), [['activate', email]])
    const changed = [{ event: 'roles_changed', roles: ['support', '$(id)', "it's"] }]
    const asked = ['set-roles', email, '--role', 'support', '--role', '$(id)', '--role', "it's"]
    t.same(await commands(email, changed, {}), [asked])
    t.same(await commands(email, [{ event: 'roles_changed' }], { roles: ['a'] }), [['set-roles', email, '--none']])
  }
})
