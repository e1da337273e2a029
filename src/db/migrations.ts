/** The history of the tables. A landed step is never edited; a change is a new step. SQL that SQLite and PostgreSQL share. */
export interface Migration {
  readonly version: number
  readonly name: string
  readonly statements: readonly string[]
}

export const MIGRATIONS: readonly Migration[] = [
  {
    version: 1,
    name: 'accounts and sessions',
    statements: [
      `CREATE TABLE accounts (
        id            TEXT   PRIMARY KEY,
        email         TEXT   NOT NULL,
        password_hash TEXT   NOT NULL,
        status        TEXT   NOT NULL CHECK (status IN ('active', 'suspended')),
        roles         TEXT   NOT NULL,
        token_version BIGINT NOT NULL,
        created_at    BIGINT NOT NULL
      )`,
      'CREATE UNIQUE INDEX accounts_email ON accounts (email)',
      `CREATE TABLE sessions (
        id         TEXT   PRIMARY KEY,
        account_id TEXT   NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
        created_at BIGINT NOT NULL,
        ip         TEXT,
        user_agent TEXT
      )`,
      'CREATE INDEX sessions_account ON sessions (account_id)',
    ],
  },
]
