import type { Resolvers } from '#graphql/content'
import { attachment, contentAccess, contentObject } from './resolvers/content.ts'
import { storedFile, transactionalEmail, upload } from './resolvers/mail.ts'
import { mutations } from './resolvers/mutations.ts'
import { tenant, user } from './resolvers/people.ts'
import { queries } from './resolvers/queries.ts'

/** Resolvers of every field that is not simply a column of its row. */
export const resolvers: Resolvers = {
  Query: queries,
  Mutation: mutations,
  ContentObject: contentObject,
  ContentAccess: contentAccess,
  Attachment: attachment,
  Tenant: tenant,
  User: user,
  TransactionalEmail: transactionalEmail,
  StoredFile: storedFile,
  Upload: upload,
}
