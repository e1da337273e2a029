import type { Readable } from 'node:stream'
import { type Static, Type } from '@sinclair/typebox'
import { fromTimestamp, toTimestamp } from '../clock.ts'
import { AppError } from '../errors/app-error.ts'
import type { App } from '../http/app-type.ts'
import { NextCursor, PageQuery, pageAfter, pageOf } from '../http/paging.ts'
import { Timestamp } from '../http/schemas.ts'
import type { RevocationCheck } from '../tokens/verify.ts'
import { adminOr } from './admin-scopes.ts'
import type { AuditTrail, TrailEvent, TrailFilter } from './audit-trail.ts'
import type { ExportAudit } from './export-audit.ts'

const NDJSON = 'application/x-ndjson'

const TextOrNull = Type.Union([Type.String(), Type.Null()])
const AuditEventReply = Type.Object(
  {
    id: Type.String(),
    at: Timestamp,
    event: Type.String({ description: 'what happened' }),
    account_id: TextOrNull,
    session_id: TextOrNull,
    actor_id: Type.Union([Type.String(), Type.Null()], {
      description: 'who acted, when it is not the account: an admin, or a client',
    }),
    ip: TextOrNull,
    user_agent: TextOrNull,
    request_id: TextOrNull,
    detail: Type.Object({}, { additionalProperties: true, description: 'members that depend on the event' }),
  },
  { $id: 'AuditEvent', description: 'An event of the audit trail' },
)
const AuditPage = Type.Object(
  { events: Type.Array(AuditEventReply), next_cursor: NextCursor },
  { $id: 'AuditPage', description: 'Events, the oldest first' },
)
const id = (description: string) =>
  Type.Optional(Type.String({ minLength: 1, maxLength: 64, pattern: '^[\\w-]+$', description }))
const time = (description: string) => Type.Optional(Type.String({ maxLength: 40, description }))
const Query = Type.Object(
  {
    account_id: id('only events of this account'),
    session_id: id('only events of this session'),
    actor_id: id('only what this account or client did to others'),
    client_id: id('only events about this client'),
    event: id('only events of this name'),
    ip: Type.Optional(Type.String({ minLength: 1, maxLength: 45, description: 'only events from this address' })),
    from: time('RFC 3339: not before'),
    to: time('RFC 3339: before'),
    ...PageQuery,
  },
  { additionalProperties: false },
)

interface Parts {
  readonly trail: AuditTrail
  readonly exportAudit: ExportAudit
  readonly revocations: Pick<RevocationCheck, 'judge'>
}

/**
 * `GET /v1/admin/audit`: pages of the audit trail as JSON, or all that a filter finds as lines of JSON. An export
 * breaks off when its token is revoked meanwhile. It may outlast the token.
 */
export function auditRoute(app: App, { trail, exportAudit, revocations }: Parts) {
  app.get(
    '/v1/admin/audit',
    {
      config: { ...adminOr('signet:audit:read'), limit: 'store', errors: ['store_unavailable'] },
      schema: {
        tags: ['Admin'],
        summary: 'Read the audit trail',
        description: `With \`Accept: ${NDJSON}\` the answer is every event that fits, one JSON object a line.`,
        querystring: Query,
        response: { 200: AuditPage },
      },
    },
    async (request, reply) => {
      const { query } = request
      const filter = filterOf(query)
      const page = pageAfter(query)
      if (asksForLines(request.headers.accept)) {
        if (query.limit !== undefined) throw unacceptable('/limit', 'is for pages, and an export has none')
        reply.type(`${NDJSON}; charset=utf-8`)
        const { sub: actorId } = request.user
        const assertAllowed = () => {
          if (revocations.judge(request.user) === 'good') return
          throw new AppError('invalid_token', { reason: 'withdrawn during an export' })
        }
        const lines = request.method === 'HEAD' ? '' : await exportAudit(filter, page.after, { actorId, assertAllowed })
        // No schema applies: `auditLine` has the members.
        return reply.send(lines as Readable & Static<typeof AuditPage>)
      }
      const { events, lookedTo } = await trail.page(filter, page)
      const { page: shown, next } = pageOf(events, query, lookedTo)
      return { events: shown.map(toReply), ...next }
    },
  )
}

/** JSON has these as they are, and for some readers they end a line (Python's `splitlines`). */
const OTHER_LINE_ENDS = /[\u007f-\u009f\u2028\u2029]/g
const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`

/**
 * The members of an event that leave the server, for an answer that no schema filters. The text is one line for every
 * reader: anybody can choose a User-Agent.
 */
export const auditLine = (event: TrailEvent): string => JSON.stringify(toReply(event)).replace(OTHER_LINE_ENDS, escaped)

function toReply(event: TrailEvent): Static<typeof AuditEventReply> {
  return {
    id: event.id,
    at: toTimestamp(event.createdAt),
    event: event.event,
    account_id: event.accountId,
    session_id: event.sessionId,
    actor_id: event.actorId,
    ip: event.ip,
    user_agent: event.userAgent,
    request_id: event.requestId,
    detail: event.detail,
  }
}

function filterOf(query: Static<typeof Query>): TrailFilter {
  const [from, to] = [instantOf('/from', query.from), instantOf('/to', query.to)]
  if (from !== undefined && to !== undefined && to <= from) throw unacceptable('/to', 'is not after from')
  const { account_id: accountId, session_id: sessionId, actor_id: actorId, client_id: clientId, event, ip } = query
  return { accountId, sessionId, actorId, clientId, event, ip, from, to }
}

function instantOf(field: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const instant = fromTimestamp(text)
  if (instant === undefined) throw unacceptable(field, 'is not an RFC 3339 time such as 2026-11-30T02:00:00Z')
  return instant
}

function unacceptable(field: string, message: string): AppError {
  return new AppError('validation_failed', { reason: `${field} ${message}`, fields: [{ field, message }] })
}

/** True when the media ranges of Accept name lines of JSON, and not with `q=0` (RFC 9110 section 12.5.1). */
function asksForLines(accept = ''): boolean {
  return accept.split(',').some((range) => {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
    return type === NDJSON && !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter))
  })
}
