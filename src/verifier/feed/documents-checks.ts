import { TypeCompiler } from '@sinclair/typebox/compiler'
import { ChangesClaims } from '../../revocations/changes-schema.ts'
import { FeedClaims } from '../../revocations/feed-schema.ts'
import type { SchemaCheck } from '../../tokens/claims-checks.ts'

// In the package, the build puts the compiled code in the place of this file: see scripts/build/compiled-checks.ts.

export const feedCheck: SchemaCheck<FeedClaims> = TypeCompiler.Compile(FeedClaims)
export const changesCheck: SchemaCheck<ChangesClaims> = TypeCompiler.Compile(ChangesClaims)
