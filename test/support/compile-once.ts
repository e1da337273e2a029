import { createRequire } from 'node:module'

// Every app of a test file compiles the same schemas anew, which was a third of the suite's time. Here the two
// compilers that Fastify loads for itself remember what they made, for the life of the process: same schemas and
// options in, same function out.

type Compile = (route: { schema: unknown; httpPart?: string; httpStatus?: string }) => unknown
type Selector = (schemas: unknown, options: unknown) => Compile

const scopes = new Map<string, Map<string, unknown>>()
const require = createRequire(createRequire(import.meta.url).resolve('fastify'))

for (const name of ['@fastify/ajv-compiler', '@fastify/fast-json-stringify-compiler']) {
  const make: (options?: unknown) => Selector = require(name)
  const loaded = require.cache[require.resolve(name)]
  if (loaded === undefined) throw new TypeError(`${name} is no CommonJS module any more`)
  loaded.exports = (options?: unknown) => remembering(name, make(options))
}

function remembering(name: string, selector: Selector): Selector {
  return (schemas, options) => {
    const scope = JSON.stringify([schemas, options])
    const made = madeBy(name + scope)
    let compile: Compile | undefined
    return (route) => {
      const key = JSON.stringify([route.schema, route.httpPart])
      if (!made.has(key)) {
        compile ??= selector(schemas, options)
        made.set(key, compile(route))
      }
      return made.get(key)
    }
  }
}

function madeBy(scope: string): Map<string, unknown> {
  const made = scopes.get(scope) ?? new Map<string, unknown>()
  scopes.set(scope, made)
  return made
}
