import type { MutationResolvers } from '#graphql/content'
import { requireService, requireUser } from '#platform/caller/caller.ts'
import { runAsTenant } from '#platform/database/tenantScope.ts'
import { unparkOutboxEvent } from '#platform/outbox/parked.ts'
import { writeFilePart } from '../services/files/fileParts.ts'
import { completeFile } from '../services/files/storedFiles.ts'
import { storeMessages } from '../services/messageStore.ts'
import { deliverNotifications } from '../services/notificationDelivery.ts'
import { countUnread } from '../services/notifications.ts'
import { markAllNotificationsRead, markNotificationsRead } from '../services/notificationsRead.ts'
import { createUpload, finalizeUpload } from '../services/uploads.ts'
import { inboxOf, requireOwnUserId, requireTenantService } from './callers.ts'

/** Anyone but a viewer. */
const EDITORS = ['owner', 'admin', 'manager', 'employee']

export const mutations: MutationResolvers = {
  unparkContentOutboxEvent: async (_root, { input }, { caller, db }) => ({
    event: await unparkOutboxEvent({ caller, systemSql: db.systemSql }, input),
  }),
  storeMessages: (_root, { messages }, { caller, db, keys, maxMessageBytes }) => {
    requireTenantService(caller)
    return storeMessages({ db, keys }, messages, maxMessageBytes)
  },
  deliverNotifications: (_root, { notifications }, { caller, db, hints }) =>
    requireService(caller) && deliverNotifications({ db, hints }, notifications),
  createUpload: async (_root, { input }, { caller, db, links, maxUploadBytes, requestId }) => {
    const { tenantId } = requireUser(caller, ...EDITORS)
    const userId = requireOwnUserId(caller)
    const upload = await createUpload(db, { userId, requestId }, input, maxUploadBytes)
    const { id: target, state, expiresAt } = upload
    const path = state === 'pending' ? links.sign({ does: 'put', tenantId, userId, target, expiresAt }) : null
    return { upload, path }
  },
  finalizeUpload: async (_root, { input }, { caller, db, requestId }) => {
    requireUser(caller, ...EDITORS)
    return { upload: await finalizeUpload(db, { userId: requireOwnUserId(caller), requestId }, input.id) }
  },
  markNotificationsRead: (_root, { input }, { caller, db, loaders }) => {
    const { tenantId, userId } = inboxOf(caller)
    return runAsTenant(tenantId, async () => {
      const ids = await markNotificationsRead(db, userId, input.ids)
      const rows = await Promise.all(ids.map((id) => loaders.notifications.clear(id).load(id)))
      return { notifications: rows.filter((row) => row !== null), unreadCount: await countUnread(db, userId) }
    })
  },
  markAllNotificationsRead: (_root, { input }, { caller, db }) => {
    const { tenantId, userId } = inboxOf(caller)
    return runAsTenant(tenantId, async () => {
      const marked = await markAllNotificationsRead(db, userId, input.before)
      return { marked, unreadCount: await countUnread(db, userId) }
    })
  },
  writeFilePart: async (_root, { input }, { caller, db, keys }) => {
    requireTenantService(caller)
    return writeFilePart({ db, keys }, input)
  },
  completeFile: async (_root, { input }, { caller, db, keys }) => {
    requireTenantService(caller)
    return completeFile({ db, keys }, input)
  },
}
