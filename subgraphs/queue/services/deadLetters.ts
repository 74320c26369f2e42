import type { DeadLetterFilter } from '#graphql/queue'
import type { Caller } from '#platform/caller/caller.ts'
import { type Connection, findPage } from '#platform/database/pages.ts'
import { AppError } from '#platform/errors.ts'
import { filterId, isUuid } from '#platform/graph/ids.ts'
import type { ReadContext } from '../context.ts'
import { collectValues } from '../engine/conditions.ts'
import { type LetterFilter, letterConditions } from '../engine/letterFilter.ts'
import { openReader, tenantOfFilter } from './reader.ts'
import type { DeadLetterRow } from './rows.ts'

export type DeadLetterGroupRow = {
  errorFingerprint: string
  queueName: string
  jobType: string
  count: number
  failureReason: string
  firstAt: Date
  lastAt: Date
}

type ListArguments = { first?: number | null; after?: string | null; filter?: DeadLetterFilter | null }

const MOST_IDS = 1_000

const group = (conditions: string) => `
  SELECT l.error_fingerprint AS "errorFingerprint", l.queue_name AS "queueName", l.job_type AS "jobType",
    count(*)::int AS count, (array_agg(l.failure_reason ORDER BY l.created_at DESC))[1] AS "failureReason",
    min(l.created_at) AS "firstAt", max(l.created_at) AS "lastAt"
  FROM dead_letter_jobs l WHERE ${conditions}
  GROUP BY l.error_fingerprint, l.queue_name, l.job_type ORDER BY count(*) DESC, max(l.created_at) DESC LIMIT 100`

/** What can't be an id finds nothing. @throws AppError INVALID_INPUT for more than 1000: what was asked goes to the audit log */
function readLetterIds(filter: DeadLetterFilter | null | undefined): string[] | undefined {
  const ids = filter?.ids
  if (ids && ids.length > MOST_IDS) throw new AppError('INVALID_INPUT', `filter.ids: at most ${MOST_IDS}`)
  return ids?.filter(isUuid)
}

/**
 * A client's filter as the engine takes it, for letters resolved or not.
 * @param tenantId the caller's; null for staff, whose filter may name one
 * @throws AppError FORBIDDEN for a tenant in a user's filter; INVALID_INPUT
 */
export function readLetterFilter(
  caller: Caller,
  tenantId: string | null,
  filter: DeadLetterFilter | null | undefined,
): LetterFilter {
  const named = filterId(tenantOfFilter(caller, filter?.tenantId))
  return {
    tenantId: tenantId ?? named,
    ids: readLetterIds(filter),
    queueName: filter?.queueName,
    jobType: filter?.jobType,
    errorFingerprint: filter?.errorFingerprint,
    created: filter?.created,
  }
}

/** Dead letters, newest first; unresolved ones unless the filter says otherwise. */
export async function findDeadLetters(
  context: ReadContext,
  { first, after, filter }: ListArguments,
): Promise<Connection<DeadLetterRow>> {
  const tenantId = filterId(tenantOfFilter(context.caller, filter?.tenantId))
  const ids = readLetterIds(filter)
  const { prisma } = await openReader(context, 'DeadLetter')
  return findPage(prisma.deadLetterJob, {
    where: {
      tenantId,
      id: ids && { in: ids },
      queueName: filter?.queueName ?? undefined,
      jobType: filter?.jobType ?? undefined,
      errorFingerprint: filter?.errorFingerprint ?? undefined,
      createdAt: filter?.created ? { gte: filter.created.from, lt: filter.created.to } : undefined,
      isResolved: filter?.isResolved ?? false,
    },
    sort: [{ field: 'createdAt', direction: 'desc' }],
    first,
    after,
  })
}

/** Dead letters counted by cause, most frequent first. */
export async function findDeadLetterGroups(
  context: ReadContext,
  filter: DeadLetterFilter | null | undefined,
): Promise<DeadLetterGroupRow[]> {
  readLetterFilter(context.caller, null, filter)
  const { sql, tenantId } = await openReader(context, 'DeadLetter')
  const { values, bind } = collectValues()
  const conditions = letterConditions(readLetterFilter(context.caller, tenantId, filter), bind)
  const isResolved = `l.is_resolved = ${bind(filter?.isResolved ?? false)}`
  const { rows } = await sql.query<DeadLetterGroupRow>(group(`${conditions} AND ${isResolved}`), values)
  return rows
}
