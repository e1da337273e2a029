/** One step of the history of the tables (`migrations.ts`). */
export interface Migration {
  readonly version: number
  readonly name: string
  readonly statements: readonly string[]
}
