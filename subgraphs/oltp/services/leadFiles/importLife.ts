import type { LeadFileProblemCode } from '#graphql/oltp'
import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { readId } from '#platform/graph/ids.ts'
import { notify } from '#platform/outbox/announce.ts'
import type { Context } from '../../context.ts'
import type { LeadImportRow } from '../rows.ts'
import { cleanText } from '../texts.ts'
import { problemText } from './fileProblem.ts'

/** Why an import ended before its time. */
export type Problem = { code: LeadFileProblemCode; message: string }

const LONGEST_PROBLEM = 1_000

const BEGIN = `
  UPDATE lead_imports SET status = 'running', started_at = coalesce(started_at, now())
  WHERE tenant_id = $1 AND id = $2 AND status IN ('queued', 'running')`

const FINISH = `
  UPDATE lead_imports
  SET status = $3, last_error = $4, completed_at = now(),
      read_bytes = CASE WHEN $3 = 'completed' THEN total_bytes ELSE read_bytes END
  WHERE tenant_id = $1 AND id = $2 AND status = 'running'`

/**
 * A job takes up an import, or takes it up again: it goes on after `rowCount`. One that has ended stays ended.
 * @throws AppError NOT_FOUND
 */
export async function beginImport({ db }: Context, importId: string): Promise<LeadImportRow> {
  const id = readId(importId, 'importId')
  await db.tenantSql.query(BEGIN, [currentTenant(), id])
  return getImport(db, id)
}

/**
 * Ends a running import, and tells whoever asked for it. A repeat changes nothing.
 * @throws AppError NOT_FOUND
 */
export async function finishImport(
  { db, relay, requestId }: Context,
  end: { importId: string; requestedBy?: string | null; problem?: Problem | null },
): Promise<LeadImportRow> {
  const id = readId(end.importId, 'importId')
  await db.tenantSql.transaction((tx) => endImport(tx, { ...end, importId: id, requestId }), { retries: 2 })
  relay.wake()
  return getImport(db, id)
}

/** The same, in the caller's transaction. */
export async function endImport(
  tx: Queryable,
  end: { importId: string; requestedBy?: string | null; problem?: Problem | null; requestId: string },
): Promise<void> {
  const { importId, requestedBy, problem, requestId } = end
  const lastError = problem ? cleanText(problemText(problem), LONGEST_PROBLEM) : null
  const values = [currentTenant(), importId, problem ? 'failed' : 'completed', lastError]
  const { rowCount } = await tx.query(FINISH, values)
  if (rowCount === 0 || !requestedBy) return
  await notify(tx, {
    tenantId: currentTenant(),
    correlationId: requestId,
    userId: requestedBy,
    type: 'lead_import',
    title: problem ? 'Your list of leads could not be imported' : 'Your list of leads is imported',
    message: problem?.message ?? '',
    metadata: { leadImportId: importId, ...(problem && { code: problem.code }) },
  })
}

async function getImport(db: Context['db'], id: string): Promise<LeadImportRow> {
  const row = await db.tenant.leadImport.findFirst({ where: { id } })
  if (!row) throw new AppError('NOT_FOUND', 'importId: there is no such import')
  return row
}
