import type { Refusal } from '../../src/errors/refusals.ts'
import type { TestServer } from './app.ts'
import { post, signUp, signUpAdmin } from './front-door.ts'
import { basic, register, send, tokenOf } from './oauth.ts'
import { call } from './people.ts'

/** A token for each way in which one is taken back at the front door, with the word for it. Keys are not among them. */
export async function tokensTakenBack(server: TestServer): Promise<[refusal: Refusal, token: string][]> {
  const { app } = server
  const admin = await signUpAdmin(server)
  const [out, deleted, promoted] = [await signUp(app), await signUp(app), await signUp(app)]
  const [revoking, disabled] = [await register(server), await register(server)]
  const [revoked, ofDisabled] = [await tokenOf(app, revoking), await tokenOf(app, disabled)]
  await post(app, '/v1/logout', {}, { token: out.access_token })
  await call(app, admin.access_token, 'DELETE', `/v1/admin/accounts/${deleted.id}`)
  await call(app, admin.access_token, 'PATCH', `/v1/admin/accounts/${promoted.id}`, { roles: ['support'] })
  await send(app, 'revoke', { token: revoked }, basic(revoking.id, revoking.secret))
  await call(app, admin.access_token, 'PATCH', `/v1/admin/clients/${disabled.id}`, { status: 'disabled' })
  return [
    ['revoked_session', out.access_token],
    ['revoked_account', deleted.access_token],
    ['stale_version', promoted.access_token],
    ['revoked_token', revoked],
    ['revoked_client', ofDisabled],
  ]
}
