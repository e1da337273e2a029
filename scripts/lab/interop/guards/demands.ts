import type { Mint } from '../../../../test/support/mint.ts'
import { type GuardTrial, get } from './guard-trial.ts'

/** What the routes of the recipes ask for, with a token that has it and one that has not. */
export async function demands(trial: GuardTrial, mint: Mint): Promise<void> {
  const token = (claims: object) => mint.token({ claims })
  const rows: [path: string, claims: object, status: number, code?: string, challenge?: string][] = [
    ['/invoices', { scope: 'a invoices:read' }, 200],
    ['/invoices', { scope: 'invoices:readers' }, 403, 'insufficient_scope', 'scope="invoices:read"'],
    ['/invoices', { roles: ['invoices:read'] }, 403, 'insufficient_scope', 'scope="invoices:read"'],
    ['/accounts', { roles: ['support', 'admin'] }, 200],
    ['/accounts', { roles: ['administrator'] }, 403, 'insufficient_scope'],
    ['/accounts', { scope: 'admin' }, 403, 'insufficient_scope'],
    ['/accounts', {}, 403, 'insufficient_scope'],
    ['/payment', { auth_time: mint.now - 100 }, 200],
    ['/payment', { auth_time: mint.now - 1000 }, 401, 'insufficient_user_authentication', 'max_age="300"'],
    ['/payment', {}, 401, 'insufficient_user_authentication', 'max_age="300"'],
    ['/nothing-is-here', { roles: ['admin'] }, 404],
  ]
  for (const [path, claims, status, code = '', challenge = ''] of rows) {
    const answer = await get(trial.url + path, { authorization: `Bearer ${token(claims)}`, 'x-user': 'root' })
    const found = [answer.status, /"code":"(\w+)"/.exec(answer.body)?.[1] ?? '', answer.headers.get('cache-control')]
    const said = answer.headers.get('www-authenticate') ?? ''
    const isRight = found[0] === status && found[1] === code && found[2] === 'no-store' && said.includes(challenge)
    if (!isRight) trial.faults.push(`${path} with ${JSON.stringify(claims)}: ${found.join(' ')} ${said}`)
  }
  for (const path of ['/', '/invoices', '/accounts', '/nothing-is-here', '/health/', '//health', '/HEALTH'])
    if ((await get(trial.url + path, {})).status !== 401) trial.faults.push(`${path} without a token is not refused`)
  if ((await get(`${trial.url}/health`, {})).status !== 200) trial.faults.push('the public path is not public')
}
