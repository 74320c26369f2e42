import { isUuid } from '#platform/graph/ids.ts'
import { groupBy } from '#platform/grouping.ts'
import type { Attachment } from '#prisma/content'
import type { Database } from '../database.ts'

export type AttachmentRow = Attachment

/** Files of several mails of the tenant in scope, each mail's in order. */
export async function batchAttachmentsOf(db: Database, storageKeys: readonly string[]): Promise<AttachmentRow[][]> {
  const rows = await db.tenant.attachment.findMany({
    where: { storageKey: { in: [...storageKeys] } },
    orderBy: [{ storageKey: 'asc' }, { position: 'asc' }],
  })
  const byKey = groupBy(rows, ({ storageKey }) => storageKey)
  return storageKeys.map((key) => byKey.get(key) ?? [])
}

/** Files by id; null for an id the tenant does not have. */
export async function batchAttachments(db: Database, ids: readonly string[]): Promise<(AttachmentRow | null)[]> {
  const rows = await db.tenant.attachment.findMany({
    where: { id: { in: ids.filter(isUuid).map((id) => id.toLowerCase()) } },
  })
  const byId = new Map(rows.map((row) => [row.id, row]))
  return ids.map((id) => byId.get(id.toLowerCase()) ?? null)
}
