import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { printedRecipes } from './printed-recipes.ts'

/** Each adapter where its framework expects one, checked with the framework's own types. */
const PROGRAM = `
import type { APIGatewayRequestAuthorizerEventV2, APIGatewaySimpleAuthorizerWithContextResult,
  APIGatewayAuthorizerHandler, APIGatewayRequestIAMAuthorizerHandlerV2, APIGatewayTokenAuthorizerHandler,
  APIGatewayRequestSimpleAuthorizerHandlerV2WithContext } from 'aws-lambda'
import { type CanActivate, HttpException, type Type, UseGuards } from '@nestjs/common'
import express from 'express'
import { type Context, Hono, type MiddlewareHandler } from 'hono'
import type { NextFetchEvent, NextProxy, NextRequest } from 'next/server'
import { after } from 'next/server'
import { createVerifier } from 'signet-verifier'
import { signetExpress } from 'signet-verifier/express'
import { signetHono, type SignetVariables } from 'signet-verifier/hono'
import { type AuthorizerContext, signetLambda } from 'signet-verifier/lambda'
import { Public, Requires, signetNest } from 'signet-verifier/nest'
import { signetNext } from 'signet-verifier/next'

declare module 'signet-verifier' { interface CustomClaims { tenant?: string } }

const verifier = createVerifier({ issuer: 'https://auth.example.com', audience: 'https://api.example.com' })
const text = (value: string | undefined) => value

const hono = new Hono<{ Variables: SignetVariables }>()
hono.use(signetHono(verifier)).get('/me', signetHono(verifier, { roles: ['a'] }), (c) => {
  // @ts-expect-error a claim that nobody declared
  c.get('user').tenants
  return c.json({ sub: text(c.get('user').sub), tenant: text(c.get('user').tenant) })
})
const middleware: MiddlewareHandler = signetHono(verifier)
new Hono<{ Bindings: { KEY: string } }>().use(signetHono(verifier))

const guarded = signetNext(verifier, {}, { waitUntil: after })
export const GET: (request: NextRequest, context: { params: Promise<{ id: string }> }) => Promise<Response> =
  guarded.route(async (request: NextRequest, { params, user }) =>
    Response.json({ path: request.nextUrl.pathname, id: text((await params).id as string), tenant: text(user.tenant) }))
export const POST = guarded.route((request, { user }) => Response.json({ url: request.url, sub: text(user.sub) }))
export const proxy: NextProxy = guarded.proxy

const SignetGuard = signetNest(verifier, HttpException)
const type: Type<CanActivate> = SignetGuard
@UseGuards(SignetGuard)
@Requires({ roles: ['a'] })
class Controller {
  @Public() open() {}
  @Requires({ scope: ['a'] }) closed() {}
  // @ts-expect-error a slip
  @Requires({ role: ['a'] }) slip() {}
}

const lambda = signetLambda(verifier)
const token: APIGatewayTokenAuthorizerHandler = lambda.policy
const rest: APIGatewayAuthorizerHandler = lambda.policy
const iam: APIGatewayRequestIAMAuthorizerHandlerV2 = lambda.policy
const simple: APIGatewayRequestSimpleAuthorizerHandlerV2WithContext<AuthorizerContext> = lambda.simple

export { Controller, iam, middleware, rest, simple, token, type }
`

/** A project with passport, whose own user goes through `req.login`; and one in which the user is our claims. */
const PASSPORT = `
import express from 'express'
import 'passport'
import { createVerifier } from 'signet-verifier'
import { signetExpress } from 'signet-verifier/express'

declare global { namespace Express { interface User { id: number } } }
const verifier = createVerifier({ issuer: 'https://auth.example.com', audience: 'https://api.example.com' })
express().get('/me', signetExpress(verifier), (req, res) => {
  req.login({ id: 1 }, () => res.json({ id: req.user?.id }))
})
`

/** @returns the errors of the compiler */
export async function typesOfFrameworks(folder: string): Promise<string[]> {
  const files = {
    'types.ts': PROGRAM,
    'passport.ts': PASSPORT,
    'passport-claims.ts': `import 'passport'\n${printedRecipes().get('express-typed')}`,
  }
  const errors: string[] = []
  for (const [file, code] of Object.entries(files)) {
    await writeFile(join(folder, file), code)
    const strict = ['--strict', '--noEmit', '--skipLibCheck', '--experimentalDecorators', '--types', 'node']
    const options = ['--target', 'es2022', '--lib', 'es2022', '--module', 'preserve', ...strict, file]
    const tsc = join(folder, 'node_modules/typescript/bin/tsc')
    await promisify(execFile)(process.execPath, [tsc, ...options], { cwd: folder }).catch(({ stdout }) => {
      errors.push(...stdout.split('\n').filter((line: string) => /^\S/.test(line)))
    })
  }
  return errors
}
