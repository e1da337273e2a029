import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { build } from 'esbuild'
import type { Test } from 'tap'
import { temporaryFolder } from '../../support/app.ts'
import { run } from '../../support/service.ts'
import { recipe, withRequire } from './installed-package.ts'

export interface Service {
  readonly name: string
  /** The status of the answer to `GET path` with a token. */
  ask(token: string, path?: string): Promise<number>
}

/** Starts the recipes of the README in each form in which people run them. */
export async function startServices(
  t: Test,
  folder: string,
  expressOnly: string,
  env: Record<string, string>,
): Promise<Service[]> {
  return Promise.all((await programs(t, folder, expressOnly)).map((program) => start(t, program, env)))
}

/** Waits until a service refuses a token. @returns milliseconds */
export async function refusedAfter({ ask }: Service, token: string, pauseMs: number): Promise<number> {
  const began = performance.now()
  while ((await ask(token)) !== 401) await delay(pauseMs)
  return Math.round(performance.now() - began)
}

/** Node as it was before it could require ES modules: only then it loads the CommonJS modules of the package. */
const OLD_NODE = { NODE_OPTIONS: '--no-experimental-require-module' }

interface Program {
  readonly name: string
  readonly file: string
  readonly env?: Record<string, string>
}

/** The recipes as they are printed; one with `require()`; and one in a bundle, from which no package can be found. */
async function programs(t: Test, folder: string, expressOnly: string): Promise<Program[]> {
  const bundle = join(await temporaryFolder(t), 'bundle.mjs')
  const commonjs = `${withRequire(recipe('fastify'))}\nrequire('signet-verifier')`
  const both = `${recipe('http')}\nexport { fastifySignet } from 'signet-verifier/fastify'`
  const files: [file: string, code: string][] = [
    [join(folder, 'fastify.js'), recipe('fastify')],
    [join(folder, 'http.js'), recipe('http')],
    [join(expressOnly, 'express.js'), recipe('express')],
    [join(folder, 'commonjs.cjs'), commonjs],
    [join(folder, 'to-bundle.js'), both],
  ]
  for (const [file, code] of files) await writeFile(file, code)
  const entryPoints = [join(folder, 'to-bundle.js')]
  await build({ entryPoints, bundle: true, platform: 'node', format: 'esm', outfile: bundle })
  return [
    { name: 'fastify', file: join(folder, 'fastify.js') },
    { name: 'http', file: join(folder, 'http.js') },
    { name: 'express', file: join(expressOnly, 'express.js') },
    { name: 'require()', file: join(folder, 'commonjs.cjs'), env: OLD_NODE },
    { name: 'a bundle', file: bundle },
  ]
}

/** Starts a program and waits until it listens. */
async function start(t: Test, { name, file, env: own }: Program, env: Record<string, string>): Promise<Service> {
  const running = run(t, file, [], { ...env, ...own })
  const url = await new Promise<string>((resolve, reject) => {
    running.child.stdout?.on('data', () => {
      const [found] = /http:\/\/[^\s"]+/.exec(running.output()) ?? []
      if (found !== undefined) resolve(found.replace('[::1]', 'localhost'))
    })
    running.finished.then(({ stderr }) => reject(new Error(stderr)))
  })
  return {
    name,
    ask: async (token: string, path = '/me') => {
      const reply = await fetch(url + path, { headers: { authorization: `Bearer ${token}` } })
      await reply.arrayBuffer()
      return reply.status
    },
  }
}
