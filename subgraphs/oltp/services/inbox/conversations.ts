import type { ConversationFilter } from '#graphql/oltp'
import { findPage } from '#platform/database/pages.ts'
import { filterId } from '#platform/graph/ids.ts'
import type { Prisma } from '#prisma/oltp'
import type { Database } from '../../database.ts'
import { filterPeriod, NEWEST_FIRST, type PageInput } from '../lists.ts'
import { filterText } from '../texts.ts'

/**
 * A page of the tenant's conversations, the last one that something came up in first; archived ones only when asked for.
 * @throws AppError INVALID_INPUT for a bad page or cursor
 */
export function findConversations(
  db: Database,
  { filter, ...page }: PageInput & { filter?: ConversationFilter | null },
) {
  return findPage(db.tenant.conversation, {
    ...page,
    where: readFilter(filter ?? {}),
    sort: [{ field: 'lastMessageAt', direction: 'desc' }],
  })
}

/**
 * A page of what persons answered to the tenant's campaigns, newest first.
 * @throws AppError INVALID_INPUT for a bad page or cursor
 */
export function findRecentReplies(db: Database, page: PageInput) {
  const where = { direction: 'inbound', messageType: 'email', campaignId: { not: null } }
  return findPage(db.tenant.inboxMessageRef, { ...page, where, sort: NEWEST_FIRST })
}

function readFilter(filter: ConversationFilter): Prisma.ConversationWhereInput {
  return {
    emailAccountId: filterId(filter.emailAccountId),
    campaignId: filterId(filter.campaignId),
    leadId: filterId(filter.leadId),
    correspondentEmail: filterText(filter.correspondent, 'correspondent')?.toLowerCase(),
    ...(filter.isUnread != null && { unreadCount: filter.isUnread ? { gt: 0 } : 0 }),
    isStarred: filter.isStarred ?? undefined,
    isArchived: filter.isArchived ?? false,
    lastMessageAt: filterPeriod(filter.period),
    OR: filterBeginning(filter.search),
  }
}

/** Sorts behind whatever a text may go on with: the last code point there is. */
const LAST_CHARACTER = '\u{10ffff}'
/** How much of a subject its key holds. */
const MAX_KEY_LENGTH = 200

/** Subject or correspondent that begin like this. A beginning is a range of an index, which policies let be used; a piece is none. */
function filterBeginning(search: string | null | undefined): Prisma.ConversationWhereInput[] | undefined {
  const wanted = filterText(search?.trim().toLowerCase() || null, 'search')?.slice(0, MAX_KEY_LENGTH)
  if (wanted === undefined) return undefined
  const range = { gte: wanted, lt: `${wanted}${LAST_CHARACTER}` }
  return [{ subjectKey: range }, { correspondentEmail: range }]
}
