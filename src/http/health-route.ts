import { type Static, Type } from '@sinclair/typebox'
import type { App } from './app-type.ts'
import type { IsStopping } from './drain.ts'

const State = Type.Union([Type.Literal('ok'), Type.Literal('failed')])
const KeyringState = Type.Union([State, Type.Literal('stale')], {
  description: 'stale: the keys folder can not be used, and the last good keyring is still in force',
})
const Live = Type.Object({ status: Type.Literal('ok') }, { $id: 'Live', description: 'The process runs' })
const Ready = Type.Object(
  {
    status: Type.Union([State, Type.Literal('stopping')], {
      description: 'stopping: the server still answers, but send new requests to another one',
    }),
    checks: Type.Object({ store: State, keyring: KeyringState }),
    revocations_age: Type.Number({ description: 'seconds since the revocation set was last complete' }),
  },
  { $id: 'Ready', description: 'What the server depends on, part by part' },
)

/** The store counts as down when it has not answered within this time. */
const STORE_TIMEOUT_MS = 2000

interface Checks {
  /** Rejects when the store can't answer. */
  store(): Promise<unknown>
  keyring(): Static<typeof KeyringState>
  isStopping: IsStopping
  /** Seconds since the revocation set was last complete. */
  revocationsAge(): number
}

/**
 * `GET /health/live`: the process runs. `GET /health/ready`: it can issue tokens; 503 when the store or the keyring
 * can't be used, or the server is stopping.
 */
export function healthRoutes(app: App, checks: Checks): void {
  const tags = ['Operations']
  app.get(
    '/health/live',
    { config: { auth: 'public' }, schema: { tags, summary: 'Whether the process runs', response: { 200: Live } } },
    () => ({
      status: 'ok' as const,
    }),
  )
  app.get(
    '/health/ready',
    {
      config: { auth: 'public' },
      schema: { tags, summary: 'Whether the server can issue tokens', response: { 200: Ready, 503: Ready } },
    },
    async (request, reply) => {
      const store = await storeState(checks, (error) => request.log.warn({ err: error }, 'the store is not ready'))
      const keyring = checks.keyring()
      const healthy = store === 'ok' && keyring !== 'failed'
      const status = checks.isStopping() ? ('stopping' as const) : healthy ? ('ok' as const) : ('failed' as const)
      reply.header('cache-control', 'no-store')
      if (status !== 'ok') reply.header('retry-after', 2)
      return reply.code(status === 'ok' ? 200 : 503).send({
        status,
        checks: { store, keyring },
        revocations_age: Math.round(checks.revocationsAge() * 1000) / 1000,
      })
    },
  )
}

async function storeState(checks: Checks, report: (error: unknown) => void): Promise<Static<typeof State>> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${STORE_TIMEOUT_MS} ms`)), STORE_TIMEOUT_MS)
  })
  try {
    await Promise.race([checks.store(), timeout])
    return 'ok'
  } catch (error) {
    report(error)
    return 'failed'
  } finally {
    clearTimeout(timer)
  }
}
