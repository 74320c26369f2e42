import { type Connection, findPage } from '#platform/database/pages.ts'
import { AppError } from '#platform/errors.ts'
import { isUuid } from '#platform/graph/ids.ts'
import type { TransactionalEmail } from '#prisma/content'
import type { Database } from '../database.ts'

export type TransactionalEmailRow = TransactionalEmail

export type TransactionalEmailsArgs = {
  first?: number | null
  after?: string | null
  filter?: { status?: string | null; userId?: string | null } | null
}

/** Mails the platform sent for the tenant in scope, newest first. */
export function findTransactionalEmails(
  db: Database,
  { filter, first, after }: TransactionalEmailsArgs,
): Promise<Connection<TransactionalEmailRow>> {
  const { status, userId } = filter ?? {}
  if (userId && !isUuid(userId)) throw new AppError('INVALID_INPUT', 'filter.userId: is not a UUID')
  return findPage(db.tenant.transactionalEmail, {
    where: { ...(status && { status }), ...(userId && { userId }) },
    sort: [{ field: 'createdAt', direction: 'desc' }],
    first,
    after,
  })
}

/** Such mails by id; null for an id the tenant does not have. */
export async function batchTransactionalEmails(
  db: Database,
  ids: readonly string[],
): Promise<(TransactionalEmailRow | null)[]> {
  const rows = await db.tenant.transactionalEmail.findMany({
    where: { id: { in: ids.filter(isUuid).map((id) => id.toLowerCase()) } },
  })
  const byId = new Map(rows.map((row) => [row.id, row]))
  return ids.map((id) => byId.get(id.toLowerCase()) ?? null)
}
