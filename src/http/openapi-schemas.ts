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
 * each.
 */
export function withComponents(document: object): object {
  const schemas: Record<string, unknown> = {}
  const hoisted = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null) return value
    if (Array.isArray(value)) return value.map(hoisted)
    const { [NAME]: name, ...rest } = value as Record<string, unknown>
    const copy = Object.fromEntries(Object.entries(rest).map(([key, member]) => [key, hoisted(member)]))
    if (typeof name !== 'string') return copy
    schemas[name] = copy
    return { $ref: `#/components/schemas/${name}` }
  }
  const result = hoisted(document) as { components?: { schemas?: object } }
  return { ...result, components: { ...result.components, schemas: { ...result.components?.schemas, ...schemas } } }
}
