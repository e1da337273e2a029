import type { Round, Side } from './comparison.ts'
import type { Bench } from './figure.ts'
import type { LightLoad, Source } from './light-load.ts'
import type { Server } from './server-process.ts'

export interface HttpSide {
  readonly name: string
  readonly server: Server
  readonly source: Source
  readonly reach?: number
}

/** A server under load as a side of a comparison: requests per second, and its processor time for each. */
export function httpSide(bench: Bench, load: LightLoad, connections: number, side: HttpSide): Side {
  const { name, server, reach } = side
  let { source } = side
  return {
    name,
    ...(reach !== undefined && { reach }),
    async round(): Promise<Round> {
      const before = server.child.cpuSeconds()
      const result = await load.run({ origin: server.origin, source, connections, seconds: bench.seconds })
      const after = server.child.cpuSeconds()
      source = result.source
      const known = before !== undefined && after !== undefined
      return { value: result.rate, cpu: known ? ((after - before) * 1e6) / result.good : undefined }
    },
  }
}

/** `GET path` with these headers, again and again. */
export function getAgain(path: string, headers: Readonly<Record<string, string>>): Source {
  return { kind: 'same', request: { method: 'GET', path, headers } }
}
