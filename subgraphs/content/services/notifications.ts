import { STAFF_INBOX } from '#platform/contracts/notification.ts'
import { type Connection, findPage } from '#platform/database/pages.ts'
import { runAsTenant } from '#platform/database/tenantScope.ts'
import { isUuid } from '#platform/graph/ids.ts'
import type { FindIds } from '#platform/live/events.ts'
import type { Notification, NotificationPreference, Prisma } from '#prisma/content'
import type { Database } from '../database.ts'

export type NotificationRow = Notification
export type PreferenceRow = NotificationPreference

export type NotificationsArgs = {
  first?: number | null
  after?: string | null
  filter?: { unread?: boolean | null } | null
}

/** What a user of the tenant in scope was told and may still see, newest first. */
export function findNotifications(
  db: Database,
  userId: string,
  { filter, first, after }: NotificationsArgs,
): Promise<Connection<NotificationRow>> {
  const unread = filter?.unread
  return findPage(db.tenant.notification, {
    where: { ...shownTo(userId), ...(typeof unread === 'boolean' && { isRead: !unread }) },
    sort: [{ field: 'createdAt', direction: 'desc' }],
    first,
    after,
  })
}

/** What the people who run the platform were told, newest first: they share one inbox, which is no tenant's. */
export function findStaffNotifications(db: Database, args: NotificationsArgs): Promise<Connection<NotificationRow>> {
  return runAsTenant(STAFF_INBOX.tenantId, () => findNotifications(db, STAFF_INBOX.userId, args))
}

/** Notifications of the tenant in scope by id, whomever they are for; null for what is not there. */
export async function batchNotifications(db: Database, ids: readonly string[]): Promise<(NotificationRow | null)[]> {
  const known = ids.filter(isUuid).map((id) => id.toLowerCase())
  const rows = known.length === 0 ? [] : await db.tenant.notification.findMany({ where: { id: { in: known } } })
  const byId = new Map(rows.map((row) => [row.id, row]))
  return ids.map((id) => byId.get(id.toLowerCase()) ?? null)
}

/** Whether a user may still see a notification. */
export function isShownTo(userId: string, row: NotificationRow): boolean {
  const isOver = row.expiresAt !== null && row.expiresAt <= new Date()
  return row.userId === userId && row.deletedAt === null && !isOver
}

/** Ids of what a user of the tenant in scope was told, above an id: what a subscriber is told of. */
export async function findNotificationIds(
  db: Database,
  userId: string,
  ...[above, { limit, newestFirst }]: Parameters<FindIds>
): Promise<string[]> {
  const rows = await db.tenant.notification.findMany({
    where: { ...shownTo(userId), id: { gt: above } },
    select: { id: true },
    orderBy: { id: newestFirst ? 'desc' : 'asc' },
    take: limit,
  })
  return rows.map(({ id }) => id)
}

/** How many a user has not read. */
export function countUnread(db: Database, userId: string): Promise<number> {
  return db.tenant.notification.count({ where: { ...shownTo(userId), isRead: false } })
}

/** Which notifications a user wants. */
export function findPreferences(db: Database, userId: string): Promise<PreferenceRow[]> {
  return db.tenant.notificationPreference.findMany({
    where: { userId },
    orderBy: [{ notificationType: 'asc' }, { channel: 'asc' }],
  })
}

function shownTo(userId: string) {
  return {
    userId,
    deletedAt: null,
    OR: [{ expiresAt: null }, { expiresAt: { gt: new Date() } }],
  } satisfies Prisma.NotificationWhereInput
}
