// Loaded into the server processes of tests. A server compiles the schemas of all its routes while it boots. That is a
// sixth of the processor time of a boot, and a test asks few of the routes. Here a schema is compiled when the first
// request needs it. What is wrong with a schema stops the apps that tests start in their own process. JavaScript,
// because an option of Node names it.

import { createRequire, Module } from 'node:module'

const require = createRequire(createRequire(import.meta.url).resolve('fastify'))

for (const name of ['@fastify/ajv-compiler', '@fastify/fast-json-stringify-compiler']) replace(require.resolve(name))

/** A compiler is loaded with the first schema that is compiled. */
function replace(filename) {
  const load = once(() => {
    delete require.cache[filename]
    return require(filename)
  })
  const exports = (options) => (schemas, selected) => {
    const compiler = once(() => load()(options)(schemas, selected))
    return (route) => compileLater(once(() => compiler()(route)))
  }
  require.cache[filename] = Object.assign(new Module(filename), { filename, loaded: true, exports })
}

/** The errors of a validator stand at its function. */
function compileLater(compile) {
  const run = (value) => {
    const compiled = compile()
    const result = compiled(value)
    run.errors = compiled.errors
    return result
  }
  return run
}

function once(make) {
  let made
  return () => {
    made ??= make()
    return made
  }
}
