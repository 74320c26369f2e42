import type { EmailEventType } from '#platform/contracts/emailEvent.ts'
import { type Connection, findPage } from '#platform/database/pages.ts'
import { findPageIdsPerParent, loadNodes } from '#platform/database/pagesPerParent.ts'
import { isUuid } from '#platform/graph/ids.ts'
import type { EmailEvent } from '#prisma/analytics'
import type { AnalyticsDatabase } from '../context.ts'

export type EmailEventRow = EmailEvent
export type EventFilter = {
  eventType?: EmailEventType | null
  campaignId?: string | null
  leadId?: string | null
  messageId?: string | null
  range?: { from: Date | string; to: Date | string } | null
}
export type PageArgs = { first?: number | null; after?: string | null }

/** Things that have events of their own, and the columns that name them. */
const PARENTS = {
  lead: { field: 'leadId', column: 'lead_id' },
  message: { field: 'messageId', column: 'message_id' },
} as const
export type EventParent = keyof typeof PARENTS

/** Events of the tenant in scope, newest first. A filter by something that can't be an id finds nothing. */
export function findEmailEvents(
  db: AnalyticsDatabase,
  { filter, ...page }: PageArgs & { filter?: EventFilter | null },
): Promise<Connection<EmailEventRow>> {
  const { eventType, campaignId, leadId, messageId, range } = filter ?? {}
  const ids = Object.entries({ campaignId, leadId, messageId }).filter(([, id]) => id != null)
  return findPage(db.tenant.emailEvent, {
    where: ids.every(([, id]) => isUuid(id))
      ? {
          ...Object.fromEntries(ids),
          ...(eventType && { eventType }),
          ...(range && { occurredAt: { gte: new Date(range.from), lt: new Date(range.to) } }),
        }
      : { id: { in: [] } },
    sort: [
      { field: 'occurredAt', direction: 'desc' },
      { field: 'id', direction: 'desc' },
    ],
    ...page,
  })
}

/** A page of events of each lead or message, newest first: two statements however many there are. */
export async function batchEvents(
  db: AnalyticsDatabase,
  { parent, ids, page }: { parent: EventParent; ids: readonly string[]; page: PageArgs },
): Promise<Map<string, Connection<EmailEventRow>>> {
  const { field, column } = PARENTS[parent]
  const pages = await findPageIdsPerParent(db.tenantSql, {
    table: 'email_events',
    parentColumn: column,
    parentIds: ids,
    idColumn: 'event_id',
    sort: [{ column: 'occurred_at', direction: 'desc' }],
    ...page,
  })
  const eventIds = [...pages.values()].flatMap(({ nodes }) => nodes)
  // The parents lead to the index; events are found by id alone in no partition.
  const rows = eventIds.length
    ? await db.tenant.emailEvent.findMany({ where: { [field]: { in: [...ids] }, id: { in: eventIds } } })
    : []
  const byId = new Map(rows.map((row) => [row.id, row]))
  const filled = await Promise.all(
    [...pages].map(async ([id, found]) => [id, await loadNodes(found, async (event) => byId.get(event))] as const),
  )
  return new Map(filled)
}
