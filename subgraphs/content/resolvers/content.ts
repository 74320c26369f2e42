import type { AttachmentResolvers, ContentAccessResolvers, ContentObjectResolvers } from '#graphql/content'
import type { Context } from '../context.ts'
import type { ContentRow } from '../services/contentObjects.ts'
import { downloadPath } from './downloadPath.ts'

export const contentObject: ContentObjectResolvers = {
  __resolveReference: ({ storageKey }, { loaders }) => loaders.contentObjects.load(storageKey),
  text: (content, _args, context) => readBody(content, content.textHash, context),
  html: (content, _args, context) => readBody(content, content.htmlHash, context),
  headers: ({ storageKey }, _args, { loaders }) => loaders.headers.load(storageKey),
  attachments: ({ storageKey, attachmentCount }, _args, { loaders }) =>
    attachmentCount === 0 ? [] : loaders.attachmentsOf.load(storageKey),
}

export const attachment: AttachmentResolvers = {
  __resolveReference: ({ id }, { loaders }) => loaders.attachments.load(id),
  content: ({ storageKey }, _args, { loaders }) => loaders.contentObjects.load(storageKey),
  downloadPath: ({ id, scanStatus }, _args, context) =>
    context.caller.kind === 'user' && scanStatus !== 'infected' ? downloadPath(context, 'attached', id) : null,
}

export const contentAccess: ContentAccessResolvers = {
  content: ({ storageKey }, _args, { loaders }) => loaders.contentObjects.load(storageKey),
  user: ({ userId }) => (userId ? { id: userId } : null),
}

/** A body of a mail; that a user has read it is written down. */
async function readBody(content: ContentRow, hash: Buffer | null, context: Context): Promise<string | null> {
  const { caller, loaders, accesses } = context
  if (!hash) return null
  const bytes = await loaders.blobs.load({ hash, keyVersion: content.keyVersion })
  if (bytes && caller.kind === 'user' && caller.tenantId) {
    const { tenantId, userId } = caller
    accesses.record({ tenantId, userId, storageKey: content.storageKey, accessType: 'read', bytes: bytes.length })
  }
  return bytes?.toString('utf8') ?? null
}
