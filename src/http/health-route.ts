import { type Static, Type } from '@sinclair/typebox'
import type { App } from './app-type.ts'
import type { IsStopping } from './drain.ts'

const State = Type.Union([Type.Literal('ok'), Type.Literal('failed')])
const KeyringState = Type.Union([State, Type.Literal('stale'), Type.Literal('outdated')], {
  description:
    'stale: the keys folder can not be used, and the last good keyring is still in force. ' +
    'outdated: the keys folder is older than a revocation; the revoked keys in it are not used',
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
/** An answer of the store, good or bad, is kept for so long: load balancers ask about once a second. */
const KEPT_MS = 500

interface Checks {
  /** Rejects when the store can't answer. */
  store(): Promise<unknown>
  keyring(): Static<typeof KeyringState>
  isStopping: IsStopping
  /** Seconds since the revocation set was last complete. */
  revocationsAge(): number
  /** Milliseconds on a clock that can't be set. */
  monotonic(): number
}

/**
 * `GET /health/live`: the process runs. `GET /health/ready`: it can issue tokens; 503 when the store or the keyring
 * can't be used, or the server is stopping. However many ask, the store is asked by one at a time, and at most twice a
 * second.
 */
export function healthRoutes(app: App, checks: Checks): void {
  const tags = ['Operations']
  const storeState = createStoreLook(checks, (error) => app.log.warn({ err: error }, 'the store is not ready'))
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
    async (_request, reply) => {
      const store = await storeState()
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

/**
 * One look at the store for all who ask at the same time and shortly after. A query that is still open after a time-out
 * goes on being the one that is waited for: a store that hangs must not collect queries.
 *
 * @param report called once per look that failed
 */
function createStoreLook({ store, monotonic }: Checks, report: (error: unknown) => void) {
  let query: Promise<unknown> | undefined
  let look: Promise<Static<typeof State>> | undefined
  let keptUntil = Number.NEGATIVE_INFINITY

  const ask = () => {
    query ??= store().finally(() => {
      query = undefined
    })
    return query
  }
  const lookNow = async (): Promise<Static<typeof State>> => {
    try {
      await withinTime(ask())
      return 'ok'
    } catch (error) {
      report(error)
      return 'failed'
    } finally {
      keptUntil = monotonic() + KEPT_MS
    }
  }
  return () => {
    if (look === undefined || monotonic() >= keptUntil) {
      keptUntil = Number.POSITIVE_INFINITY // until it is over
      look = lookNow()
    }
    return look
  }
}

/** @throws Error when there is no answer within STORE_TIMEOUT_MS */
async function withinTime(answer: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${STORE_TIMEOUT_MS} ms`)), STORE_TIMEOUT_MS)
  })
  await Promise.race([answer, timeout]).finally(() => clearTimeout(timer))
}
