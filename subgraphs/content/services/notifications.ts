import { STAFF_INBOX } from '#platform/contracts/notification.ts'
import { type Connection, findPage } from '#platform/database/pages.ts'
import { runAsTenant } from '#platform/database/tenantScope.ts'
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
