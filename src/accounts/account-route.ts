import { Type } from '@sinclair/typebox'
import type { App } from '../http/app-type.ts'
import { AccountWithStatus, withStatus } from './account.ts'
import type { Administer } from './administer.ts'

const OwnAccount = Type.Composite([AccountWithStatus], { $id: 'OwnAccount', description: 'The account of the caller' })

/** `GET /v1/account`: the caller's own account as the store has it now. `GET /v1/me` says what the token says. */
export function accountRoute(app: App, { administer }: { administer: Pick<Administer, 'account'> }): void {
  app.get(
    '/v1/account',
    {
      config: { auth: 'live', errors: ['not_found'] },
      schema: { tags: ['Accounts'], summary: 'Read my account', response: { 200: OwnAccount } },
    },
    async ({ user }) => withStatus(await administer.account(user.sub)),
  )
}
