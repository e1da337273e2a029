import { TypeCompiler } from '@sinclair/typebox/compiler'
import { AccessTokenClaims, Identifier } from './claims-schema.ts'

// In the packages, the build puts the compiled code in the place of this file: see scripts/build/compiled-checks.ts.

/** A schema as a function. */
export interface SchemaCheck<T> {
  Check(value: unknown): value is T
}

export const claimsCheck: SchemaCheck<AccessTokenClaims> = TypeCompiler.Compile(AccessTokenClaims)
export const identifierCheck: SchemaCheck<string> = TypeCompiler.Compile(Identifier)
