import { mkdtemp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Comparison } from '../comparison.ts'
import type { Bench, Figure } from '../figure.ts'
import { httpSide } from '../http-side.ts'
import { LightLoad } from '../light-load.ts'
import { mintTokens } from '../mint.ts'
import { makeHome, makePackages, type Server, startBare, startGate, startSignet } from '../server-process.ts'
import { ANY_REPLY, bootTime } from './boot.ts'
import { residentMemory } from './memory.ts'

const CONNECTIONS = 32
const TOKENS = 64
/** Any path is good for the gate, and the bare server knows only this one. */
const PATH = '/v1/me'

/** A question of a gateway to signet-gate, with tokens that it has seen before. */
export const gate: Comparison = {
  name: 'gate',
  title: `a question with ${TOKENS} tokens in turn, to`,
  unit: 'requests/s',
  better: 'more',
  async prepare(bench, cleanup) {
    await makePackages()
    const core = bench.cores?.server
    const home = await makeHome(bench)
    const issuer = await startSignet(bench, home)
    cleanup.use(issuer.child)
    const { tokens } = await mintTokens(bench, issuer, home, TOKENS)
    const file = join(await mkdtemp(join(bench.folder, 'gate-tokens-')), 'tokens')
    await writeFile(file, tokens.slice(0, TOKENS).join('\n'))
    const servers = {
      bare: await startBare(bench, ANY_REPLY, { core }),
      gate: await startGate(bench, issuer, { core }),
    }
    for (const { child } of Object.values(servers)) cleanup.use(child)
    const load = cleanup.use(new LightLoad({ core: bench.cores?.load }))
    const source = { kind: 'ring', path: PATH, file, position: 0 } as const
    return {
      sides: [
        httpSide(bench, load, CONNECTIONS, { name: 'a bare Fastify route', server: servers.bare, source }),
        httpSide(bench, load, CONNECTIONS, { name: 'signet-gate', server: servers.gate, source, reach: 0.8 }),
      ],
    }
  },
}

/** From the start of the process until it can judge tokens: keys and revocations are there. */
export const gateBoot = gateFigure('gate-boot', 'signet-gate: boot until ready', 'ms', 300, bootTime)

/** Resident memory of a gate that is ready and idle. */
export const gateMemory = gateFigure('gate-memory', 'signet-gate: memory at rest', 'MB', 80, residentMemory)

function gateFigure(
  name: string,
  title: string,
  unit: string,
  most: number,
  measured: (server: Server) => Promise<number>,
): Figure {
  return {
    name,
    title,
    unit,
    limit: 'bare Fastify',
    better: 'less',
    reach: { value: most },
    async prepare(bench: Bench, cleanup) {
      await makePackages()
      const issuer = await startSignet(bench, await makeHome(bench))
      cleanup.use(issuer.child)
      return {
        signet: async () => measured(await startGate(bench, issuer)),
        limit: async () => measured(await startBare(bench, ANY_REPLY)),
      }
    },
  }
}
