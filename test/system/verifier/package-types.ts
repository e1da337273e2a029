import { writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { Test } from 'tap'
import { nodeProgram } from './client-package.ts'
import { recipe, typeErrors } from './installed-package.ts'

/** What a handler may read of the caller: claims with their types, those of its own too, and no others. */
const READS = `
  const sub: string = user.sub
  const roles: readonly string[] = user.roles ?? []
  const tenant: string | undefined = user.tenant
  // @ts-expect-error a claim that nobody declared
  user.tenants
  // @ts-expect-error text
  const number: number = user.sub
  return { sub, roles, tenant, number }`
const FASTIFY_USER = `
import Fastify from 'fastify'
import 'signet-verifier'
import 'signet-verifier/fastify'
Fastify().get('/me', ({ user }) => {${READS}
})
`
/** Express, with the recipe's declaration of its user; and the other adapters, which no types of a framework need. */
const ADAPTERS_USER = `
import { createServer } from 'node:http'
import { createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2'
import express from 'express'
import { createVerifier } from 'signet-verifier'
import { signetExpress } from 'signet-verifier/express'
import { signetHono, type SignetVariables } from 'signet-verifier/hono'
import { signetHttp } from 'signet-verifier/http'
import { signetLambda } from 'signet-verifier/lambda'
import { Public, Requires, signetNest } from 'signet-verifier/nest'
import { signetNext } from 'signet-verifier/next'
import './express.js'

const verifier = createVerifier({ issuer: 'https://auth.example.com', audience: 'https://api.example.com' })
express().get('/me', signetExpress(verifier, { roles: ['a'] }), ({ user }, res) => {
  if (user === undefined) throw new TypeError('no guard stands before this')
  const read = () => {${READS}
  }
  res.json(read())
})
createServer(signetHttp(verifier, ({ user, url }, res) => {
  const read = () => {${READS}
  }
  res.writeHead(200).end(JSON.stringify([url, read()]))
}))
createSecureServer(signetHttp<Http2ServerRequest, Http2ServerResponse>(verifier, ({ user, stream }, res) => {
  res.end(user.sub + stream.id)
}))
export const handler = signetNext(verifier).route((request: Request, { user }) => {
  const read = () => {${READS}
  }
  return Response.json([request.url, read()])
})
export const variables = ({ user }: SignetVariables) => {${READS}
}
export const guards = [signetHono(verifier), signetLambda(verifier).policy, signetNest(verifier, Error as never)]
Public()
// @ts-expect-error a slip
signetExpress(verifier, { role: ['a'] })
// @ts-expect-error a slip
signetHttp(verifier, () => undefined, { role: ['a'] })
// @ts-expect-error a slip
signetHono(verifier, { role: ['a'] })
// @ts-expect-error a slip
signetNext(verifier, { role: ['a'] })
// @ts-expect-error a slip
signetLambda(verifier, { role: ['a'] })
// @ts-expect-error a slip
Requires({ role: ['a'] })
`

const FILES = ['fastify.ts', 'slip.ts', 'express.ts']
/** The declarations, compiled as a stranger does: with each way of resolving, and without Fastify. */
export async function packageTypes(t: Test, folder: string, expressOnly: string): Promise<void> {
  const isPublic = "auth: 'public'"
  const [fastify, express, own] = [recipe('fastify'), recipe('express-typed'), recipe('claims')]
  t.ok(fastify.includes(isPublic))
  await writeFile(join(folder, 'fastify.ts'), fastify)
  await writeFile(join(folder, 'slip.ts'), fastify.replace(isPublic, "auth: 'publik'"))
  await writeFile(
    join(folder, 'require.cts'),
    `${fastify}export { createVerifier, SignetError } from 'signet-verifier'`,
  )
  for (const place of [folder, expressOnly]) await writeFile(join(place, 'express.ts'), express)
  await writeFile(join(folder, 'fastify-user.ts'), `${FASTIFY_USER}${own}`)
  await writeFile(join(folder, 'adapters-user.ts'), `${ADAPTERS_USER}${own}`)
  // What a program may import is the same for nodenext and for node16. The client is there for programs without a DOM.
  const others = {
    node16: ['require.cts', await nodeProgram(folder)],
    bundler: ['require.cts'],
    nodenext: ['fastify-user.ts', 'adapters-user.ts'],
  }
  for (const [resolution, files] of Object.entries(others)) {
    const declarations = resolution !== 'nodenext'
    const errors = await typeErrors(folder, [...FILES, ...files], resolution, { declarations })
    t.equal(errors.length, 1, `${resolution}: ${errors.join('; ')}`)
    t.match(errors[0], /^slip\.ts\(\d+,\d+\): error TS2322: .*auth/, resolution)
  }
  t.throws(() => createRequire(join(expressOnly, 'express.ts')).resolve('fastify'), { code: 'MODULE_NOT_FOUND' })
  t.same(await typeErrors(expressOnly, ['express.ts'], 'nodenext'), [], 'Express without the types of Fastify')
}
