import type { DeadLetterFilter } from '#graphql/queue'
import type { Caller } from '#platform/caller/caller.ts'
import { type Connection, findPage } from '#platform/database/pages.ts'
import { AppError } from '#platform/errors.ts'
import { filterId, isUuid } from '#platform/graph/ids.ts'
import type { ReadContext } from '../context.ts'
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

/** The filter in SQL, over $1 to $6 as `letterConditionValues` gives them. */
export const LETTER_CONDITION = `
  ($1::uuid IS NULL OR tenant_id = $1) AND ($2::uuid[] IS NULL OR id = ANY($2))
  AND ($3::text IS NULL OR queue_name = $3) AND ($4::text IS NULL OR job_type = $4)
  AND ($5::text IS NULL OR error_fingerprint = $5) AND is_resolved = $6`

const GROUP = `
  SELECT error_fingerprint AS "errorFingerprint", queue_name AS "queueName", job_type AS "jobType", count(*)::int AS count,
    (array_agg(failure_reason ORDER BY created_at DESC))[1] AS "failureReason", min(created_at) AS "firstAt",
    max(created_at) AS "lastAt"
  FROM dead_letter_jobs WHERE ${LETTER_CONDITION}
  GROUP BY error_fingerprint, queue_name, job_type ORDER BY count(*) DESC, max(created_at) DESC LIMIT 100`

/** What can't be an id finds nothing. @throws AppError INVALID_INPUT for more than 1000: what was asked goes to the audit log */
function readLetterIds(filter: DeadLetterFilter | null | undefined): string[] | undefined {
  const ids = filter?.ids
  if (ids && ids.length > MOST_IDS) throw new AppError('INVALID_INPUT', `filter.ids: at most ${MOST_IDS}`)
  return ids?.filter(isUuid)
}

/** @param tenantId the caller's; null for staff, whose filter may name one */
export function letterConditionValues(
  caller: Caller,
  tenantId: string | null,
  filter: DeadLetterFilter | null | undefined,
): unknown[] {
  return [
    tenantId ?? filterId(tenantOfFilter(caller, filter?.tenantId)) ?? null,
    readLetterIds(filter) ?? null,
    filter?.queueName ?? null,
    filter?.jobType ?? null,
    filter?.errorFingerprint ?? null,
    filter?.isResolved ?? false,
  ]
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
  const values = (tenantId: string | null) => letterConditionValues(context.caller, tenantId, filter)
  tenantOfFilter(context.caller, filter?.tenantId)
  const { sql, tenantId } = await openReader(context, 'DeadLetter')
  const { rows } = await sql.query<DeadLetterGroupRow>(GROUP, values(tenantId))
  return rows
}
