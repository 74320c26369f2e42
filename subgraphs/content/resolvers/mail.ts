import type { TransactionalEmailResolvers, UploadResolvers } from '#graphql/content'
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
}
