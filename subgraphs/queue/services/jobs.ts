import type { JobFilter } from '#graphql/queue'
import { type Connection, findPage } from '#platform/database/pages.ts'
import { filterId, isUuid } from '#platform/graph/ids.ts'
import type { ReadContext } from '../context.ts'
import { findHeldJobs, findJobsInWork, type InWork } from './inWork.ts'
import { openReader, type Reader, tenantOfFilter } from './reader.ts'
import type { JobRow } from './rows.ts'

type ListArguments = { first?: number | null; after?: string | null; filter?: JobFilter | null }

/** The caller's jobs, newest first; staff's are every tenant's. */
export async function findJobs(context: ReadContext, { first, after, filter }: ListArguments) {
  const tenantId = filterId(tenantOfFilter(context.caller, filter?.tenantId))
  const reader = await openReader(context, 'Job')
  const page = await findPage(reader.prisma.job, {
    where: {
      tenantId,
      queueName: filter?.queueName ?? undefined,
      ...(filter?.status && (await statusCondition(reader, filter.status))),
      jobType: filter?.jobType ?? undefined,
      correlationId: filter?.correlationId ?? undefined,
      campaignId: filterId(filter?.campaignId),
      queuedAt: filter?.queued ? { gte: filter.queued.from, lt: filter.queued.to } : undefined,
    },
    // Ids are UUIDv7: in order of arrival.
    sort: [{ field: 'id', direction: 'desc' }],
    first,
    after,
  })
  return page as Connection<JobRow>
}

/** The table knows no job in work: such a job is a queued one that a lease holds. */
async function statusCondition(reader: Reader, asked: readonly JobRow['status'][]) {
  const statuses = new Set(asked)
  const stored = [...statuses].filter((status) => status !== 'processing')
  if (statuses.has('processing') === statuses.has('queued')) return { status: { in: stored } }
  const inWork = await findJobsInWork(reader)
  if (statuses.has('queued')) return { status: { in: stored }, NOT: { status: 'queued', id: { in: inWork } } }
  return { OR: [{ status: { in: stored } }, { status: 'queued', id: { in: inWork } }] }
}

/** Jobs by id, of the caller's tenant or, for staff, of any; null for what is not there. */
export async function batchJobs(context: ReadContext, ids: readonly string[]): Promise<(JobRow | null)[]> {
  const known = ids.filter(isUuid).map((id) => id.toLowerCase())
  if (known.length === 0) return ids.map(() => null)
  const { prisma } = await openReader(context, 'Job')
  const rows = (await prisma.job.findMany({ where: { id: { in: known } } })) as JobRow[]
  const byId = new Map(rows.map((row) => [row.id, row]))
  return ids.map((id) => byId.get(id.toLowerCase()) ?? null)
}

/** Since when jobs that have no outcome are in work; null for those that are not. */
export async function batchInWork(context: ReadContext, ids: readonly string[]): Promise<(InWork | null)[]> {
  const held = await findHeldJobs(await openReader(context, 'Job'), ids)
  return ids.map((id) => held.get(id) ?? null)
}

/**
 * All jobs of a tenant: the caller's own, or for staff any. Null for another tenant's id, as if it didn't exist.
 */
export async function findJobsOfTenant(context: ReadContext, tenantId: string, page: Omit<ListArguments, 'filter'>) {
  const own = context.caller.tenantId?.toLowerCase()
  if (own !== undefined && own !== tenantId.toLowerCase()) return null
  return findJobs(context, own ? page : { ...page, filter: { tenantId } })
}

const SUBJECT_TYPES = [
  'Campaign',
  'CampaignSequenceStep',
  'Company',
  'Domain',
  'EmailAccount',
  'InboxMessageRef',
  'Lead',
  'SmtpIpAddress',
  'Template',
  'Tenant',
  'TransactionalEmail',
  'User',
  'VpsInstance',
] as const

/** A reference to what a job works for, for the tier that owns it to resolve; null for what has no type in the graph. */
export function findSubject({ subjectTypename, subjectId }: JobRow) {
  if (subjectTypename === null || subjectId === null) return null
  if (subjectTypename === 'ContentObject') return { __typename: 'ContentObject' as const, storageKey: subjectId }
  const type = SUBJECT_TYPES.find((name) => name === subjectTypename)
  // Other tiers' ids are UUIDs; anything else would be an error there instead of nothing.
  return type && isUuid(subjectId) ? { __typename: type, id: subjectId } : null
}
