import type { Migration } from './migration.ts'

/** The steps 1 to 5. `migrations.ts` has the rules and the rest. */
export const FIRST_MIGRATIONS: readonly Migration[] = [
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
  {
    version: 2,
    name: 'sessions that are refreshed, revocations, audit trail',
    statements: [
      'ALTER TABLE accounts ADD COLUMN last_login_at BIGINT',
      // A random mark of the last change, so that later statements of the same transaction can depend on it.
      'ALTER TABLE accounts ADD COLUMN changed_by TEXT',
      'DROP TABLE sessions', // sessions of version 1 can't be refreshed
      `CREATE TABLE sessions (
        id             TEXT   PRIMARY KEY,
        account_id     TEXT   NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
        client_id      TEXT   NOT NULL,
        scope          TEXT   NOT NULL,
        created_at     BIGINT NOT NULL,
        last_used_at   BIGINT NOT NULL,
        rotated_at     BIGINT NOT NULL,
        expires_at     BIGINT NOT NULL,
        max_expires_at BIGINT NOT NULL,
        counter        BIGINT NOT NULL,
        repeats        BIGINT NOT NULL,
        ip             TEXT,
        user_agent     TEXT,
        ended_at       BIGINT,
        end_reason     TEXT,
        ended_by       TEXT
      )`,
      'CREATE INDEX sessions_account ON sessions (account_id, last_used_at)',
      'CREATE INDEX sessions_expiry ON sessions (expires_at)',
      'CREATE INDEX sessions_ended_by ON sessions (ended_by) WHERE ended_by IS NOT NULL',
      // One row, taken last by every transaction that revokes: numbers become visible in the order in which they are
      // given, so that a reader who asks for "greater than the last I saw" never misses one.
      'CREATE TABLE revocation_head (id BIGINT PRIMARY KEY CHECK (id = 1), seq BIGINT NOT NULL)',
      'INSERT INTO revocation_head (id, seq) VALUES (1, 0)',
      `CREATE TABLE revocations (
        kind        TEXT   NOT NULL CHECK (kind IN ('session', 'account', 'client', 'token')),
        subject     TEXT   NOT NULL,
        min_version BIGINT,
        seq         BIGINT NOT NULL,
        expires_at  BIGINT NOT NULL,
        PRIMARY KEY (kind, subject)
      )`,
      'CREATE INDEX revocations_seq ON revocations (seq)',
      // Written first by every change of status or roles, which serialises them: otherwise two admins could each be
      // demoted at the same time, because each transaction still counts the other admin.
      'CREATE TABLE locks (name TEXT PRIMARY KEY, taken BIGINT NOT NULL)',
      "INSERT INTO locks (name, taken) VALUES ('admins', 0)",
      `CREATE TABLE audit_events (
        id         TEXT   PRIMARY KEY,
        at         BIGINT NOT NULL,
        event      TEXT   NOT NULL,
        account_id TEXT,
        session_id TEXT,
        actor_id   TEXT,
        ip         TEXT,
        user_agent TEXT,
        request_id TEXT,
        detail     TEXT   NOT NULL
      )`,
      'CREATE INDEX audit_events_at ON audit_events (at)',
      'CREATE INDEX audit_events_account ON audit_events (account_id, at)',
    ],
  },
  {
    version: 3,
    name: 'OAuth clients',
    statements: [
      `CREATE TABLE clients (
        id            TEXT   PRIMARY KEY,
        name          TEXT   NOT NULL,
        scope         TEXT   NOT NULL,
        audience      TEXT   NOT NULL,
        ttl           BIGINT,
        auth_method   TEXT   NOT NULL CHECK (auth_method IN ('client_secret_basic', 'client_secret_post', 'private_key_jwt')),
        jwks          TEXT,
        jwks_uri      TEXT,
        status        TEXT   NOT NULL CHECK (status IN ('active', 'disabled')),
        token_version BIGINT NOT NULL,
        created_at    BIGINT NOT NULL,
        changed_by    TEXT
      )`,
      'CREATE INDEX clients_created ON clients (created_at, id)',
      // A client has one secret without an expiry, and during a rotation also the previous one.
      `CREATE TABLE client_secrets (
        client_id  TEXT   NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
        hash       TEXT   NOT NULL,
        created_at BIGINT NOT NULL,
        expires_at BIGINT,
        PRIMARY KEY (client_id, hash)
      )`,
      // The primary key decides, for all nodes together, which use of an assertion is the first.
      `CREATE TABLE client_assertions (
        client_id  TEXT   NOT NULL,
        jti_hash   TEXT   NOT NULL,
        expires_at BIGINT NOT NULL,
        PRIMARY KEY (client_id, jti_hash)
      )`,
      'CREATE INDEX client_assertions_expiry ON client_assertions (expires_at)',
    ],
  },
  {
    version: 4,
    name: 'sessions that are live, and those that are over',
    statements: [
      // A login counts the live sessions of its account. This index skips those that ended, thousands of them after
      // many logins.
      'DROP INDEX sessions_account',
      'CREATE INDEX sessions_account ON sessions (account_id, ended_at)',
      'CREATE INDEX sessions_ended ON sessions (ended_at) WHERE ended_at IS NOT NULL',
    ],
  },
  {
    version: 5,
    name: 'exchanged refresh tokens',
    statements: [
      // The last exchanges, newest first: `<instant>:<counter of the token that was shown>,`.
      "ALTER TABLE sessions ADD COLUMN exchanged TEXT NOT NULL DEFAULT ''",
      // Rotations in a row that somebody else repeated, and the counter at the last of these repeats.
      'ALTER TABLE sessions ADD COLUMN foreign_repeats BIGINT NOT NULL DEFAULT 0',
      'ALTER TABLE sessions ADD COLUMN foreign_counter BIGINT NOT NULL DEFAULT -1',
      // Refresh tokens with a lower counter are from before a change of the password.
      'ALTER TABLE sessions ADD COLUMN valid_from BIGINT NOT NULL DEFAULT 0',
      // A random mark of the last change, as in accounts. The column `repeats` is not used any more.
      'ALTER TABLE sessions ADD COLUMN changed_by TEXT',
      `UPDATE sessions SET exchanged = CAST(rotated_at AS TEXT) || ':' || CAST(counter - 1 AS TEXT) || ','
       WHERE counter > 0 AND ended_at IS NULL`,
    ],
  },
]
