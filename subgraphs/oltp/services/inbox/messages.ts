import type { MessageFilter } from '#graphql/oltp'
import { findPage } from '#platform/database/pages.ts'
import { findCurrentTenant } from '#platform/database/tenantScope.ts'
import { filterId } from '#platform/graph/ids.ts'
import type { FindIds } from '#platform/live/events.ts'
import type { Prisma } from '#prisma/oltp'
import type { Context } from '../../context.ts'
import type { Database } from '../../database.ts'
import { filterPeriod, NEWEST_FIRST, type PageInput } from '../lists.ts'
import type { MessageRow } from '../rows.ts'
import { filterSearch, filterText } from '../texts.ts'

const MAX_MESSAGES_OF_CONTENT = 100
const MAX_STORAGE_KEY_LENGTH = 500

/**
 * A page of the tenant's messages, newest first.
 * @throws AppError INVALID_INPUT for a bad page or cursor
 */
export function findMessages(db: Database, { filter, ...page }: PageInput & { filter?: MessageFilter | null }) {
  return findPage(db.tenant.inboxMessageRef, { ...page, where: filter ? readFilter(filter) : {}, sort: NEWEST_FIRST })
}

/** Ids of mails that came in for the tenant in scope, above an id: what a subscriber is told of. */
export async function findReceivedIds(
  db: Database,
  ...[above, { limit, newestFirst }]: Parameters<FindIds>
): Promise<string[]> {
  const rows = await db.tenant.inboxMessageRef.findMany({
    where: { direction: 'inbound', id: { gt: above } },
    select: { id: true },
    orderBy: { id: newestFirst ? 'desc' : 'asc' },
    take: limit,
  })
  return rows.map(({ id }) => id)
}

/** Who references a content object: the tenant's messages, oldest first, at most 100. Null for those without a tenant. */
export async function findMessagesOfContent({ loaders }: Context, storageKey: string): Promise<MessageRow[] | null> {
  if (findCurrentTenant() === null) return null
  // The key comes from whoever asks, and one that PostgreSQL can't take would spoil the others' statement.
  if (storageKey.length > MAX_STORAGE_KEY_LENGTH || storageKey.includes('\0')) return []
  const page = await loaders.messagesOfContent.load({ parentId: storageKey, first: MAX_MESSAGES_OF_CONTENT })
  return page.nodes
}

function readFilter(filter: MessageFilter): Prisma.InboxMessageRefWhereInput {
  return {
    emailAccountId: filterId(filter.emailAccountId),
    campaignId: filterId(filter.campaignId),
    stepId: filterId(filter.stepId),
    leadId: filterId(filter.leadId),
    threadId: filterId(filter.threadId),
    direction: filter.direction ?? undefined,
    messageType: filter.messageType ?? undefined,
    ...(filter.status && { status: { in: [...new Set(filter.status)] } }),
    fromEmail: filterText(filter.fromEmail, 'fromEmail')?.toLowerCase(),
    isRead: filter.isRead ?? undefined,
    isStarred: filter.isStarred ?? undefined,
    isArchived: filter.isArchived ?? undefined,
    hasAttachments: filter.hasAttachments ?? undefined,
    subject: filterSearch(filter.search),
    createdAt: filterPeriod(filter.createdAt),
  }
}
