import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import type { Bench, Figure } from '../figure.ts'
import { type BareReply, makeHome, type Server, startBare, startSignet } from '../server-process.ts'

/** The bare server must answer something; what it answers makes no difference here. */
export const ANY_REPLY: BareReply = { body: '{"sub":"acc"}', schema: { type: 'object', additionalProperties: true } }

/** From the start of the process to the first good answer: a restart, with Node's compile cache filled. */
export const boot = bootFigure('boot', 'boot to first answer', (bench) =>
  Promise.resolve(join(bench.folder, 'compile-cache')),
)

/** The very first boot of an install, or of a container that keeps no cache. */
export const firstBoot = bootFigure('first-boot', 'the same, nothing cached', (bench) =>
  mkdtemp(join(bench.folder, 'no-cache-')),
)

function bootFigure(name: string, title: string, cacheFolder: (bench: Bench) => Promise<string>): Figure {
  return {
    name,
    title,
    unit: 'ms',
    limit: 'bare Fastify',
    better: 'less',
    reach: { value: 500 },
    async prepare(bench) {
      const home = await makeHome(bench)
      return {
        signet: async () => bootTime(await startSignet(bench, home, { compileCache: await cacheFolder(bench) })),
        limit: async () => bootTime(await startBare(bench, ANY_REPLY, { compileCache: await cacheFolder(bench) })),
      }
    },
  }
}

export async function bootTime({ child, bootTime }: Server): Promise<number> {
  await child.stop()
  return bootTime
}
