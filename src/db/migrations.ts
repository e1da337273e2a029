import { FIRST_MIGRATIONS } from './first-migrations.ts'
import type { Migration } from './migration.ts'

/**
 * The history of the tables. A released step is never edited; a change is a new step. The SQL is the part that SQLite
 * and PostgreSQL share.
 */
export const MIGRATIONS: readonly Migration[] = [
  ...FIRST_MIGRATIONS,
  {
    version: 6,
    name: 'mail addresses in one form',
    statements: [
      // What code still has to do with the rows, because SQL can't. The row goes when it is done.
      'CREATE TABLE unfinished_work (name TEXT PRIMARY KEY)',
      "INSERT INTO unfinished_work (name) VALUES ('email_domains')",
    ],
  },
  {
    version: 7,
    name: 'the highest time seen',
    statements: [
      // Epoch seconds, written by every server several times a minute. After a step back of the clock it tells until
      // when tokens from before the step may live.
      'ALTER TABLE revocation_head ADD COLUMN latest BIGINT NOT NULL DEFAULT 0',
    ],
  },
  {
    version: 8,
    name: 'keys that were revoked',
    statements: [
      // Signing keys by kid and refresh keys by id. They differ in length, and both are random.
      'CREATE TABLE revoked_keys (kid TEXT PRIMARY KEY, revoked_at BIGINT NOT NULL)',
    ],
  },
  {
    version: 9,
    name: 'the history of the numbers of revocations',
    statements: [
      // A random id, made by the first server that looks. It changes when the store went back.
      'ALTER TABLE revocation_head ADD COLUMN history TEXT',
      // A random mark of the transaction that took the last number.
      'ALTER TABLE revocation_head ADD COLUMN mark TEXT',
      // The marks of the last numbers: a server sees by them that a number was given twice. A server from before this
      // step takes numbers without a mark.
      'CREATE TABLE revocation_log (seq BIGINT PRIMARY KEY, mark TEXT NOT NULL)',
      "INSERT INTO revocation_log (seq, mark) SELECT seq, 'start' FROM revocation_head",
    ],
  },
  {
    version: 10,
    name: 'logins that are confirmed again',
    statements: [
      // When the owner last showed the password. Null: at the login.
      'ALTER TABLE sessions ADD COLUMN auth_time BIGINT',
    ],
  },
  {
    version: 11,
    name: 'messages, one-time tokens, verified addresses',
    statements: [
      // When the owner showed that the address is his. Null: not yet.
      'ALTER TABLE accounts ADD COLUMN email_verified_at BIGINT',
      // 1: registered with REGISTRATION=verified and not confirmed yet. Such an account can't log in.
      'ALTER TABLE accounts ADD COLUMN awaits_confirmation BIGINT NOT NULL DEFAULT 0',
      // 1: the owner said "this was not me". Nobody can log in until a recovery set another password.
      'ALTER TABLE accounts ADD COLUMN needs_recovery BIGINT NOT NULL DEFAULT 0',
      // The language of messages, a BCP 47 tag. Null: none was chosen.
      'ALTER TABLE accounts ADD COLUMN locale TEXT',
      // A row is written in the transaction of what causes the message. It is composed and delivered by a sender.
      `CREATE TABLE outbox (
        id              TEXT   PRIMARY KEY,
        kind            TEXT   NOT NULL,
        state           TEXT   NOT NULL CHECK (state IN ('caused', 'composed', 'sent', 'dropped', 'dead')),
        created_at      BIGINT NOT NULL,
        account_id      TEXT,
        audit_id        TEXT,
        sealed          TEXT,
        attempts        BIGINT NOT NULL,
        next_attempt_at BIGINT NOT NULL,
        claimed_by      TEXT,
        claimed_until   BIGINT NOT NULL,
        last_error      TEXT
      )`,
      'CREATE INDEX outbox_due ON outbox (state, next_attempt_at)',
      'CREATE INDEX outbox_account ON outbox (account_id, created_at)',
      // What a link or a code in a message allows, once.
      `CREATE TABLE one_time_tokens (
        id         TEXT   PRIMARY KEY,
        purpose    TEXT   NOT NULL,
        account_id TEXT   NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
        email      TEXT   NOT NULL,
        bound_to   TEXT   NOT NULL,
        token_hash TEXT   NOT NULL,
        code_hash  TEXT,
        tries      BIGINT NOT NULL,
        created_at BIGINT NOT NULL,
        expires_at BIGINT NOT NULL
      )`,
      'CREATE UNIQUE INDEX one_time_tokens_hash ON one_time_tokens (token_hash)',
      'CREATE INDEX one_time_tokens_account ON one_time_tokens (account_id, purpose)',
    ],
  },
  {
    version: 12,
    name: 'one-time tokens by address',
    statements: [
      'CREATE INDEX one_time_tokens_email ON one_time_tokens (email)',
      'CREATE INDEX one_time_tokens_expiry ON one_time_tokens (expires_at)',
    ],
  },
]
