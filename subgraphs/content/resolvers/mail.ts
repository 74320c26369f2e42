import type { StoredFileResolvers, TransactionalEmailResolvers, UploadResolvers } from '#graphql/content'
import { hasRole } from './callers.ts'
import { downloadPath } from './downloadPath.ts'

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

export const storedFile: StoredFileResolvers = {
  __resolveReference: ({ storageKey }, { loaders }) => loaders.files.load(storageKey),
  downloadPath: ({ storageKey }, _args, context) =>
    hasRole(context.caller, 'owner', 'admin', 'manager') ? downloadPath(context, 'get', storageKey) : null,
}
