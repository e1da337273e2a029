/**
 * The member that carries the `$id` of a schema through @fastify/swagger, which drops the `$id` of a reply and writes
 * its schema out in full.
 */
const NAME = 'x-name'

/** @returns the schema in the form that `withComponents` finds; unchanged when it has no `$id` */
export function named<S extends object>(schema: S): S {
  const { $id, ...rest } = schema as S & { $id?: string }
  return $id === undefined ? schema : ({ ...rest, [NAME]: $id } as unknown as S)
}

/**
 * Moves every named schema to `components`, once, and puts a reference in its place: generated clients get one type for
 * each. A request body whose schema allows null may be absent, which @fastify/swagger does not say.
 */
export function withComponents(document: object): object {
  const schemas: Record<string, unknown> = {}
  const hoisted = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null) return value
    if (Array.isArray(value)) return value.map(hoisted)
    const { [NAME]: name, ...rest } = value as Record<string, unknown>
    const copy = Object.fromEntries(Object.entries(rest).map(([key, member]) => [key, hoisted(member)]))
    if (mayBeAbsent(copy)) return { ...copy, required: false }
    if (typeof name !== 'string') return copy
    schemas[name] = copy
    return { $ref: `#/components/schemas/${name}` }
  }
  const result = hoisted(document) as { components?: { schemas?: object } }
  return { ...result, components: { ...result.components, schemas: { ...result.components?.schemas, ...schemas } } }
}

/** True for a Request Body Object of OpenAPI whose schema allows null: no body is validated as null. */
function mayBeAbsent({ required, content }: Record<string, unknown>): boolean {
  if (required !== true || typeof content !== 'object' || content === null) return false
  const alternatives = Object.values(content).flatMap((media) => media?.schema?.anyOf ?? [])
  return alternatives.some(({ type }) => type === 'null')
}
