import type { QueryResolvers } from '#graphql/content'
import { requireStaff, requireUser } from '#platform/caller/caller.ts'
import { loadNodes } from '#platform/database/pagesPerParent.ts'
import { runAsTenant } from '#platform/database/tenantScope.ts'
import { findOutboxEvents } from '#platform/outbox/parked.ts'
import { findAccesses } from '../services/accessLog.ts'
import { findPart } from '../services/files/storedFiles.ts'
import { findUploadedFile } from '../services/files/uploadedFiles.ts'
import { findStoredMails } from '../services/messageStore.ts'
import { findNotifications, findPreferences, findStaffNotifications, isShownTo } from '../services/notifications.ts'
import { findRawMessages } from '../services/rawMessages.ts'
import { findRetentionPolicies } from '../services/retentionPolicies.ts'
import { searchContent } from '../services/search.ts'
import { getStorage } from '../services/storage.ts'
import { findTransactionalEmails } from '../services/transactionalEmails.ts'
import { findUploads } from '../services/uploads.ts'
import { inboxOf, requireOwnUserId, requireTenantService } from './callers.ts'

export const queries: QueryResolvers = {
  contentObject: (_root, { storageKey }, { caller, loaders }) =>
    requireUser(caller) && loaders.contentObjects.load(storageKey),
  attachment: (_root, { id }, { caller, loaders }) => requireUser(caller) && loaders.attachments.load(id),
  searchContent: async (_root, { words, ...page }, { caller, db, loaders, accesses }) => {
    const { tenantId, userId } = requireUser(caller)
    const keys = await searchContent(db, words, page)
    for (const storageKey of keys.nodes)
      accesses.record({ tenantId, userId, storageKey, accessType: 'search', bytes: 0 })
    return loadNodes(keys, (key) => loaders.contentObjects.load(key))
  },
  transactionalEmails: (_root, args, { caller, db }) =>
    requireUser(caller, 'owner', 'admin') && findTransactionalEmails(db, args),
  notifications: (_root, args, { caller, db }) =>
    caller.kind === 'staff' && requireStaff(caller)
      ? findStaffNotifications(db, args)
      : findNotifications(db, requireOwnUserId(caller), args),
  notification: async (_root, { id }, { caller, loaders }) => {
    const { tenantId, userId } = inboxOf(caller)
    const row = await runAsTenant(tenantId, () => loaders.notifications.load(id))
    return row && isShownTo(userId, row) ? row : null
  },
  notificationPreferences: (_root, _args, { caller, db }) => findPreferences(db, requireOwnUserId(caller)),
  retentionPolicies: (_root, args, { caller, db }) => requireUser(caller) && findRetentionPolicies(db, args),
  contentAccessLog: (_root, args, { caller, db }) => requireUser(caller, 'owner', 'admin') && findAccesses(db, args),
  uploads: (_root, args, { caller, db }) => requireUser(caller) && findUploads(db, args),
  storageStats: (_root, _args, { caller, db }) => requireUser(caller) && getStorage(db),
  contentOutboxEvents: (_root, args, { caller, db: { system, systemSql } }) =>
    findOutboxEvents({ caller, systemSql, outboxEvent: system.outboxEvent }, args),
  uploadedFile: (_root, { uploadId }, { caller, db }) => requireTenantService(caller) && findUploadedFile(db, uploadId),
  rawMessages: (_root, { storageKeys }, { caller, db, keys }) =>
    requireTenantService(caller) && findRawMessages({ db, keys }, storageKeys),
  storedFilePart: async (_root, place, { caller, db, keys }) => {
    requireTenantService(caller)
    const bytes = await findPart({ db, keys }, place)
    return bytes && { bytes: bytes.toString('base64') }
  },
  storedMails: (_root, { storageKeys }, { caller, db }) =>
    requireTenantService(caller) && findStoredMails(db, storageKeys),
}
