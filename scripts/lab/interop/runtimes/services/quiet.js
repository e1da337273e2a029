// Run with --disallow-code-generation-from-strings. What the package does before its first use: nothing.
const done = []
for (const name of ['fetch', 'setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask']) {
  const real = globalThis[name]
  globalThis[name] = (...args) => {
    done.push(name)
    return real(...args)
  }
}
const { setTimeout: sleep } = await import('node:timers/promises')
const resources = process.getActiveResourcesInfo().length
const { createVerifier } = await import(process.env.MODULE ?? 'signet-verifier')
const { ISSUER, AUDIENCE, TOKEN } = process.env
const verifier = createVerifier({ issuer: ISSUER, audience: AUDIENCE, revocations: true })
await sleep(1000)
const before = { done: [...done], resources: process.getActiveResourcesInfo().length - resources }
const { sub } = await verifier.verify(TOKEN)
verifier.close()
console.log(JSON.stringify({ ...before, sub }))
