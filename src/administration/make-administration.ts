import type { BoundedInsert } from '../audit/bounded-insert.ts'
import type { Clock } from '../clock.ts'
import type { Database } from '../db/database.ts'
import { auditLine } from './audit-route.ts'
import { createAuditTrailStore } from './audit-trail-store.ts'
import { createExportAudit } from './export-audit.ts'
import { createNoteRefusal } from './note-refusal.ts'

/** The parts of this folder, for `parts.ts`. */
export function makeAdministration(parts: { database: Database; boundedInsert: BoundedInsert; now: Clock }) {
  const { database, boundedInsert, now } = parts
  const trail = createAuditTrailStore(database)
  const exportAudit = createExportAudit({ trail, line: auditLine, now })
  return { trail, exportAudit, noteRefusal: createNoteRefusal({ boundedInsert }) }
}
