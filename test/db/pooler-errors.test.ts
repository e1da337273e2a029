import { DatabaseError } from 'pg'
import t from 'tap'
import { cannotOpen, describe, isConflict, isFull, isOutage, publicError } from '../../src/db/postgres-errors.ts'

// The errors of connection poolers. Those of PgBouncer 1.18 were taken from its answers; it gives them the code 08P01.

function pgError(code: string | undefined, message: string): DatabaseError {
  return Object.assign(new DatabaseError(message, message.length, 'error'), { code, severity: 'FATAL' })
}

const FULL = { full: true, outage: false }
const DOWN = { full: false, outage: true }

const CASES: [string, string, typeof FULL, RegExp, RegExp][] = [
  ['08P01', 'no more connections allowed (max_client_conn)', FULL, /takes no more clients/, /max_client_conn/],
  [
    '08P01',
    'client connections exceeded (max_db_client_connections)',
    FULL,
    /takes no more clients/,
    /max_client_conn/,
  ],
  ['XX000', 'Max client connections reached', FULL, /takes no more clients/, /max_client_conn/],
  ['XX000', 'MaxClients', DOWN, /^PostgreSQL XX000$/, /must run there/],
  ['08P01', 'too many connections for role "few"', FULL, /gives the .* pooler no more/, /max_connections/],
  ['08P01', 'sorry, too many clients already', FULL, /gives the .* pooler no more/, /max_connections/],
  ['53300', 'sorry, too many clients already', FULL, /^PostgreSQL 53300: sorry/, /max_connections/],
  ['08P01', 'query_wait_timeout', FULL, /free in time/, /default_pool_size/],
  [
    '08P01',
    'server login has been failing, try again later (server_login_retry)',
    DOWN,
    /PostgreSQL behind it is not/,
    /PostgreSQL must run too/,
  ],
  ['08P01', 'client_login_timeout (server down)', DOWN, /PostgreSQL behind it is not/, /PostgreSQL must run too/],
  ['08P01', 'the database system is starting up', DOWN, /PostgreSQL behind it is not/, /PostgreSQL must run too/],
  ['57P03', 'the database system is starting up', DOWN, /^PostgreSQL 57P03: the database/, /must run there/],
  ['08P01', 'query timeout', DOWN, /cut the connection/, /PostgreSQL must run too/],
  ['08P01', 'server conn crashed?', DOWN, /cut the connection/, /PostgreSQL must run too/],
  ['08P01', 'no such database: signet', DOWN, /does not know this database/, /\[databases\]/],
  ['08P01', 'SASL authentication failed', DOWN, /does not let this user in/, /auth_file/],
  ['28P01', 'password authentication failed for user "a"', DOWN, /^PostgreSQL 28P01: /, /pg_hba\.conf/],
  ['08P01', 'something that nobody knows', DOWN, /^PostgreSQL 08P01: something/, /must run there/],
]

for (const [code, message, { full, outage }, words, hint] of CASES) {
  t.test(`${code}: ${message}`, async (t) => {
    const error = pgError(code, message)
    t.same({ full: isFull(error), outage: isOutage(error) }, { full, outage })
    t.match(describe(error), words)
    t.equal(isConflict(error), false)
    const refusal = cannotOpen('postgres://host/name', error)
    t.match(refusal, { message: words.source.startsWith('^') ? /can't use/ : words, hint })
    if (message !== 'MaxClients') t.match(publicError(error), { code: 'store_unavailable', status: 503 })
  })
}

t.test('a message of PostgreSQL itself that reads like one of a pooler is not taken for it', async (t) => {
  const bug = pgError('XX000', 'query_wait_timeout')
  t.notMatch(publicError(bug), { code: 'store_unavailable' })
  t.equal(describe(bug), 'PostgreSQL XX000')
  t.equal(isFull(new Error('no more connections allowed (max_client_conn)')), false)
})
