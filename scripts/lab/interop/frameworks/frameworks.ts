import { execFile } from 'node:child_process'
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { OperatorError } from '../../../../src/errors/app-error.ts'
import type { Environment } from '../issuer.ts'
import { HERE } from '../program.ts'
import { printedRecipes } from './printed-recipes.ts'

/** A recipe of signet-verifier, as a server. */
export interface Framework {
  readonly name: string
  /** Where it is printed, from the page of the interop run. */
  readonly page: string
  /** The name of its recipe: one file, or the folder of several. */
  readonly recipe: string
  /** The packages from npm that it needs. The version of the first one is reported. */
  readonly packages: readonly string[]
  /** Before each path. */
  readonly prefix?: string
  /** API Gateway writes the answers itself: no problem document, and fewer statuses. */
  readonly isGateway?: boolean
  /** The framework shows only one of two Authorization lines. */
  readonly showsOneLine?: boolean
  /** Writes the recipe into a folder of its own and builds it. @returns the arguments with which Node runs it */
  readonly prepare: (folder: string, recipe: string, env: Environment) => Promise<string[]>
}

const HONO = ['hono', '@hono/node-server']
const NEXT = ['next', 'react', 'react-dom']
const NEST = ['@nestjs/core', '@nestjs/common', '@nestjs/platform-express', 'reflect-metadata', 'rxjs', 'typescript']
const README = '../../../src/verifier/README.md'
const MORE = '../../../src/verifier/recipes.md'

export const FRAMEWORKS: readonly Framework[] = [
  { name: 'Fastify', page: README, recipe: 'fastify', packages: ['fastify'], prepare: oneFile },
  { name: 'Express', page: README, recipe: 'express', packages: ['express'], prepare: oneFile },
  { name: 'node:http', page: README, recipe: 'http', packages: [], prepare: oneFile },
  { name: 'Hono', page: README, recipe: 'hono', packages: HONO, prepare: oneFile },
  { name: 'Next.js', page: MORE, recipe: 'next', packages: NEXT, showsOneLine: true, prepare: next },
  {
    name: 'middleware.js',
    page: MORE,
    recipe: 'next',
    packages: NEXT,
    showsOneLine: true,
    prepare: nextWithMiddleware,
  },
  { name: 'NestJS', page: MORE, recipe: 'nest', packages: NEST, prepare: nest },
  {
    name: 'Nest, Fastify',
    page: MORE,
    recipe: 'nest',
    packages: [...NEST, '@nestjs/platform-fastify'],
    prepare: nestOnFastify,
  },
  authorizer('REST TOKEN', '/token'),
  authorizer('REST REQUEST', '/rest'),
  authorizer('HTTP simple', '/simple'),
  authorizer('HTTP policy', '/http'),
  {
    name: 'serverless',
    page: MORE,
    recipe: 'serverless-http',
    packages: ['serverless-http', 'express'],
    prepare: behindGateway('proxy'),
  },
]

function authorizer(name: string, prefix: string): Framework {
  const place = { page: MORE, recipe: 'lambda', packages: [], prefix, isGateway: true }
  return { name, ...place, prepare: behindGateway('authorizer') }
}

/** Writes the recipes of a name, and of the files below it. @returns the path of the first one */
async function written(folder: string, name: string, extension = '.js'): Promise<string> {
  const files = [...printedRecipes()].filter(([file]) => file === name || file.startsWith(`${name}/`))
  if (files.length === 0) throw new OperatorError(`no page prints the recipe ${name}`)
  for (const [file, code] of files) {
    const path = join(folder, file === name ? `${name}${extension}` : file)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, code)
  }
  return join(folder, `${name}${extension}`)
}

async function oneFile(folder: string, recipe: string): Promise<string[]> {
  return [await written(folder, recipe)]
}

function behindGateway(role: string): Framework['prepare'] {
  return async (folder, recipe) => {
    const gateway = join(folder, 'api_gateway.js')
    await copyFile(join(HERE, 'frameworks/api_gateway.js'), gateway)
    return [gateway, await written(folder, recipe), role]
  }
}

async function nest(folder: string, recipe: string, env: Environment): Promise<string[]> {
  return compiled(folder, await written(folder, recipe, '.ts'), env)
}

async function nestOnFastify(folder: string, recipe: string, env: Environment): Promise<string[]> {
  const file = await written(folder, recipe, '.ts')
  const code = (await readFile(file, 'utf8')).replace('create(AppModule,', 'create(AppModule, new FastifyAdapter(),')
  await writeFile(file, `import { FastifyAdapter } from '@nestjs/platform-fastify'\n${code}`)
  return compiled(folder, file, env)
}

async function compiled(folder: string, file: string, env: Environment): Promise<string[]> {
  const types = ['--strict', '--skipLibCheck', '--experimentalDecorators', '--types', 'node']
  const options = ['--target', 'es2022', '--module', 'nodenext', ...types, file]
  await node(folder, env, [join(folder, 'node_modules/typescript/bin/tsc'), ...options])
  return [file.replace('.ts', '.js')]
}

async function next(folder: string, recipe: string, env: Environment): Promise<string[]> {
  await written(folder, recipe)
  return builtNext(folder, join(folder, recipe), env)
}

/** As before Next.js 16: another name of file and function. It runs in the edge runtime. */
async function nextWithMiddleware(folder: string, recipe: string, env: Environment): Promise<string[]> {
  await written(folder, recipe)
  const own = join(folder, recipe)
  const proxy = await readFile(join(own, 'proxy.js'), 'utf8')
  await writeFile(join(own, 'middleware.js'), proxy.replace('const proxy =', 'const middleware ='))
  await rm(join(own, 'proxy.js'))
  return builtNext(folder, own, env)
}

async function builtNext(folder: string, own: string, env: Environment): Promise<string[]> {
  const cli = join(folder, 'node_modules/next/dist/bin/next')
  await node(own, env, [cli, 'build'])
  return [cli, 'start', own, '--hostname', '127.0.0.1']
}

async function node(cwd: string, env: Environment, args: readonly string[]): Promise<void> {
  await promisify(execFile)(process.execPath, args, { cwd, env }).catch(({ stdout, stderr, message }) => {
    throw new OperatorError(`${args.slice(0, 2)}: ${stdout}${stderr}` || message)
  })
}
