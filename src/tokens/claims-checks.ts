import type { TSchema } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { AccessTokenClaims, Identifier } from './claims-schema.ts'

// In the packages, the build puts the compiled code in the place of this file: see scripts/build/compiled-checks.ts.

/** A schema as a function. */
export interface SchemaCheck<T> {
  Check(value: unknown): value is T
}

export const claimsCheck: SchemaCheck<AccessTokenClaims> = TypeCompiler.Compile(AccessTokenClaims)
export const identifierCheck: SchemaCheck<string> = TypeCompiler.Compile(Identifier)

type ClaimName = keyof typeof AccessTokenClaims.properties
const claims = Object.entries(AccessTokenClaims.properties) as [ClaimName, TSchema][]
/** Each claim by itself, to name the one that is wrong. */
export const claimChecks = Object.fromEntries(
  claims.map(([name, schema]) => [name, TypeCompiler.Compile(schema)]),
) as unknown as Readonly<Record<ClaimName, SchemaCheck<unknown>>>
