/** Where a schema's `$id` travels through @fastify/swagger, which drops the `$id` of a reply and writes its schema out in full. */
const NAME = 'x-name'

/** @returns the schema as `withComponents` will find it; one without an `$id` as it is */
export function named<S extends object>(schema: S): S {
  const { $id, ...rest } = schema as S & { $id?: string }
  return $id === undefined ? schema : ({ ...rest, [NAME]: $id } as unknown as S)
}

/** Puts every named schema once under `components`, and a reference wherever it stood: generated clients get one type for each. */
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
