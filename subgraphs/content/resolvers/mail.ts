import type { StoredFileResolvers, TransactionalEmailResolvers, UploadResolvers } from '#graphql/content'
import { hasRole } from './callers.ts'

export const transactionalEmail: TransactionalEmailResolvers = {
  __resolveReference: ({ id }, { caller, loaders }) =>
    hasRole(caller, 'owner', 'admin') ? loaders.transactionalEmails.load(id) : null,
  user: ({ userId }) => (userId ? { id: userId } : null),
  content: ({ contentStorageKey }, _args, { loaders }) =>
    contentStorageKey === null ? null : loaders.contentObjects.load(contentStorageKey),
}

export const upload: UploadResolvers = {
  user: ({ userId }) => ({ id: userId }),
  content: ({ storageKey }, _args, { loaders }) =>
    storageKey === null ? null : loaders.contentObjects.load(storageKey),
  file: ({ storageKey }, _args, { loaders }) => (storageKey === null ? null : loaders.files.load(storageKey)),
}

/** How long an address to download from is good. */
const DOWNLOAD_MS = 300_000

export const storedFile: StoredFileResolvers = {
  __resolveReference: ({ storageKey }, { loaders }) => loaders.files.load(storageKey),
  downloadPath: ({ storageKey }, _args, { caller, links }) => {
    const { tenantId, userId } = caller
    if (tenantId === null || !hasRole(caller, 'owner', 'admin', 'manager')) return null
    const expiresAt = new Date(Date.now() + DOWNLOAD_MS)
    return links.sign({ does: 'get', tenantId, userId, target: storageKey, expiresAt })
  },
}
