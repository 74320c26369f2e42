import type { TenantResolvers, UserResolvers } from '#graphql/content'
import { countUnread, findNotifications } from '../services/notifications.ts'
import { getStorage } from '../services/storage.ts'
import { isOwnUser } from './callers.ts'

export const tenant: TenantResolvers = {
  storage: ({ id }, _args, { caller, db }) =>
    caller.tenantId !== null && caller.tenantId === id?.toLowerCase() ? getStorage(db) : null,
}

export const user: UserResolvers = {
  notifications: ({ id }, args, { caller, db }) =>
    id && isOwnUser(caller, id) ? findNotifications(db, id, args) : null,
  unreadCount: ({ id }, _args, { caller, db }) => (id && isOwnUser(caller, id) ? countUnread(db, id) : null),
}
