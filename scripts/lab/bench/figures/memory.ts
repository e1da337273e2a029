import { setTimeout as sleep } from 'node:timers/promises'
import type { Figure } from '../figure.ts'
import { makeHome, type Server, startBare, startSignet } from '../server-process.ts'
import { ANY_REPLY } from './boot.ts'

/** How long after the first answer the memory is measured: the server is idle by then. */
const REST_MS = 2000

/** Resident memory of a server that has booted and is idle. */
export const memory: Figure = {
  name: 'memory',
  title: 'memory at rest',
  unit: 'MB',
  limit: 'bare Fastify',
  better: 'less',
  reach: { value: 120 },
  async prepare(bench) {
    const home = await makeHome(bench)
    return {
      signet: async () => residentMemory(await startSignet(bench, home)),
      limit: async () => residentMemory(await startBare(bench, ANY_REPLY)),
    }
  },
}

export async function residentMemory({ child }: Server): Promise<number> {
  await using server = child
  await sleep(REST_MS)
  return server.residentMemory()
}
