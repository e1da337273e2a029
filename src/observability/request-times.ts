import type { RouteOptions } from 'fastify'
import type { App } from '../http/app-type.ts'

/** Upper bounds in seconds: a verified request takes a fraction of a millisecond, a login a tenth of a second. */
export const BOUNDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const

/** The labels of all requests that matched no route: what a client invents must never become a label. */
const NO_ROUTE = { method: 'any', route: 'unknown' }

/** The responses of one route with one status. */
interface Cell {
  /**
   * Responses per bound: those that took longer than the bound before and no longer than the bound of the same index.
   * The last count has no bound.
   */
  readonly counts: Float64Array
  sum: number
}

interface Times {
  readonly method: string
  readonly route: string
  readonly byStatus: Map<number, Cell>
}

export interface Sample {
  readonly labels: Readonly<Record<string, string | number>>
  /** For each bound, and then for infinity: the responses that took no longer. */
  readonly cumulative: readonly number[]
  /** In seconds. */
  readonly sum: number
}

/**
 * The duration of every response by method, route and status. Each request costs two Map look-ups and two additions: a
 * labelled histogram would hash its labels, which costs thirty times as much.
 */
export function createRequestTimes(): { observe(app: App): void; read(): Sample[] } {
  const all = new Map<string, Times>()
  const timesOf = (labels: Pick<Times, 'method' | 'route'>): Times => {
    const key = `${labels.method} ${labels.route}`
    const times = all.get(key) ?? { ...labels, byStatus: new Map() }
    all.set(key, times)
    return times
  }
  const unknown = timesOf(NO_ROUTE)

  return {
    observe(app) {
      app.addHook('onRoute', (options: RouteOptions) => {
        const methods = [options.method].flat()
        const times = new Map(methods.map((method) => [method, timesOf({ method, route: options.url })]))
        options.onResponse = [options.onResponse ?? []].flat().concat((request, reply, done) => {
          const mine = times.get(request.method)
          if (mine !== undefined) add(mine, reply.statusCode, reply.elapsedTime / 1000)
          done()
        })
      })
      app.addHook('onResponse', (request, reply, done) => {
        if (request.is404) add(unknown, reply.statusCode, reply.elapsedTime / 1000)
        done()
      })
    },
    read: () => [...all.values()].flatMap(samples),
  }
}

function add({ byStatus }: Times, status: number, seconds: number): void {
  let cell = byStatus.get(status)
  if (cell === undefined) {
    cell = { counts: new Float64Array(BOUNDS.length + 1), sum: 0 }
    byStatus.set(status, cell)
  }
  let index = 0
  while (index < BOUNDS.length && seconds > (BOUNDS[index] ?? 0)) index += 1
  cell.counts[index] = (cell.counts[index] ?? 0) + 1
  cell.sum += seconds
}

function samples({ method, route, byStatus }: Times): Sample[] {
  return [...byStatus].map(([status, { counts, sum }]) => {
    let total = 0
    const cumulative = Array.from(counts, (count) => {
      total += count
      return total
    })
    return { labels: { method, route, status }, cumulative, sum }
  })
}
