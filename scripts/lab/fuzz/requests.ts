import fc from 'fast-check'
import type { App } from '../../../src/http/app-type.ts'
import { anyText } from '../../../test/support/any-text.ts'
import { PASSWORD } from '../../../test/support/app.ts'
import { MARKER } from './answers.ts'

// Requests as /openapi.json describes them, and requests that are almost right.

/** The part of JSON Schema that our documents use. */
export interface Schema {
  readonly type?: string
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly Schema[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean | Schema
  readonly items?: Schema
  readonly $ref?: string
}

export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** With `{name}` for each parameter. */
  readonly path: string
  readonly query: readonly string[]
  readonly open: boolean
  readonly body: { readonly type: string; readonly schema: Schema } | undefined
}

/** Every route of the document. */
export async function documentedRoutes(app: App): Promise<Route[]> {
  const { paths } = (await app.inject({ url: '/openapi.json' })).json()
  return Object.entries<Record<string, never>>(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => routeOf(method, path, operation)),
  )
}

interface Operation {
  readonly security?: readonly object[]
  readonly parameters?: readonly { readonly in: string; readonly name: string }[]
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> }
}

function routeOf(method: string, path: string, { security = [], parameters = [], requestBody }: Operation): Route {
  const [[type, { schema }] = ['', { schema: {} }]] = Object.entries(requestBody?.content ?? {})
  return {
    method: method.toUpperCase() as Route['method'],
    path,
    query: parameters.filter((parameter) => parameter.in === 'query').map(({ name }) => name),
    open: !security.some((way) => 'bearer' in way),
    body: type === '' ? undefined : { type, schema },
  }
}

const MEMBER_NAMES = [
  '__proto__',
  'constructor',
  'toString',
  'id',
  'role',
  'roles',
  'sub',
  'password_hash',
  'status',
  '',
  `${MARKER}-name`,
]
const TEXTS = [
  'admin',
  'active',
  'all',
  'cookie',
  'a@b.c',
  'ADA@EXAMPLE.COM',
  'https://127.0.0.1:1/',
  'file:///etc/passwd',
  "' OR 1=1 --",
  '$ne',
  '\0',
  '\ud800',
  '\u202e',
  'x'.repeat(5000),
]

const junkText = fc.oneof(
  anyText({ maxLength: 40 }),
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.constantFrom(...TEXTS),
)
const marked = fc.string({ maxLength: 8 }).map((text) => `${MARKER}${text}`)
/** Any JSON. Its texts hold the marker, so that they are recognised in a response. */
export const junk: fc.Arbitrary<unknown> = fc.oneof(
  junkText,
  marked,
  fc.constantFrom(null, true, false, 0, -1, 1.5, 2 ** 53, 1e300, '', [], {}),
  fc.jsonValue({ maxDepth: 3 }),
  fc.dictionary(
    fc.oneof(fc.constantFrom(...MEMBER_NAMES), fc.string({ maxLength: 8 })),
    fc.oneof(marked, fc.jsonValue({ maxDepth: 1 })),
    { maxKeys: 3 },
  ),
)

/**
 * Values that fit a schema, with a wrong one now and then.
 *
 * @param words texts that mean something to the server
 */
export function nearly(schema: Schema, words: readonly string[]): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 9, arbitrary: fitting(schema, words) }, { weight: 1, arbitrary: junk })
}

function fitting(schema: Schema, words: readonly string[]): fc.Arbitrary<unknown> {
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum)
  if (schema.anyOf !== undefined) return fc.oneof(...schema.anyOf.map((one) => nearly(one, words)))
  switch (schema.type) {
    case 'string':
      return fc.oneof(
        { weight: 3, arbitrary: fc.constantFrom(...words, PASSWORD) },
        { weight: 2, arbitrary: junkText },
        { weight: 1, arbitrary: marked },
      )
    case 'integer':
    case 'number':
      return fc.oneof(fc.integer({ min: 0, max: 1000 }), fc.integer(), fc.double())
    case 'array':
      return fc.array(nearly(schema.items ?? {}, words), { maxLength: 4 })
    case 'object':
      return fittingObject(schema, words)
    case 'null':
      return fc.constant(null)
    default:
      return junk
  }
}

function fittingObject({ properties = {}, required = [] }: Schema, words: readonly string[]): fc.Arbitrary<unknown> {
  const members = Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, nearly(schema, words)]))
  const requiredKeys = required.filter((name) => Object.hasOwn(members, name))
  const whole = fc.record(members, { requiredKeys })
  const lacking = fc.record(members, { requiredKeys: [] })
  const more = fc.dictionary(fc.oneof(fc.constantFrom(...MEMBER_NAMES), fc.string()), junk, { minKeys: 1, maxKeys: 2 })
  return fc.oneof(
    { weight: 8, arbitrary: whole },
    { weight: 1, arbitrary: lacking },
    {
      weight: 1,
      arbitrary: fc
        .tuple(whole, more)
        .map(([object, extra]) => Object.fromEntries([...Object.entries(object as object), ...Object.entries(extra)])),
    },
  )
}

/** A value for a path parameter: texts that mean something, and others that an attacker would try. */
export function segment(words: readonly string[]): fc.Arbitrary<string> {
  const raw = fc.constantFrom('%', '%00', '%ff', '..%2f..', ';', '*', 'x'.repeat(300), MARKER, '%F0%9F%98%80')
  return fc.oneof(fc.constantFrom(...words), anyText({ minLength: 1, maxLength: 20 }).map(escaped), raw)
}

/**
 * Percent-encoded. A lone surrogate has no UTF-8 and is replaced first. A segment of only dots would change the path,
 * so it is replaced too.
 */
export function escaped(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replace(/^\.{1,2}$/, 'dots')
}
