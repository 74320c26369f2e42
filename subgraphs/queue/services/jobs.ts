import type { JobFilter } from '#graphql/queue'
import type { Connection } from '#platform/database/pages.ts'
import { isUuid } from '#platform/graph/ids.ts'
import type { ReadContext } from '../context.ts'
import { findHeldJobs, type InWork } from './inWork.ts'
import { readJobFilter } from './jobFilters.ts'
import { findTenantsOfJobs } from './jobPlaces.ts'
import { findJobPlaces } from './jobSearch.ts'
import { openReader, type Reader } from './reader.ts'
import type { JobRow } from './rows.ts'

type ListArguments = { first?: number | null; after?: string | null; filter?: JobFilter | null }

/** The caller's jobs, newest first; staff's are every tenant's. */
export async function findJobs(
  context: ReadContext,
  { first, after, filter }: ListArguments,
): Promise<Connection<JobRow>> {
  readJobFilter(context.caller, context.caller.tenantId, filter)
  const reader = await openReader(context, 'Job')
  const facts = readJobFilter(context.caller, reader.tenantId, filter)
  const places = await findJobPlaces(reader, context.db.systemSql, {
    filter: facts,
    statuses: filter?.status,
    first,
    after,
  })
  const rows = await loadJobs(reader, places.nodes)
  return loadNodesAt(places, ({ id }) => rows.get(id))
}

/** Rows in the place of their keys; jobs that are gone by now are left out. */
function loadNodesAt<Key>(page: Connection<Key>, find: (key: Key) => JobRow | undefined): Connection<JobRow> {
  const edges = page.edges.flatMap(({ node, cursor }) => {
    const row = find(node)
    return row ? [{ node: row, cursor }] : []
  })
  return { ...page, edges, nodes: edges.map(({ node }) => node) }
}

/** Jobs by their keys, each one look into the primary key. */
export async function loadJobs(
  { prisma, tenantId }: Pick<Reader, 'prisma' | 'tenantId'>,
  keys: readonly { tenantId: string; id: string }[],
): Promise<Map<string, JobRow>> {
  if (keys.length === 0) return new Map()
  const id = { in: keys.map((key) => key.id) }
  const where = tenantId === null ? { tenantId: { in: [...new Set(keys.map((key) => key.tenantId))] }, id } : { id }
  const rows = (await prisma.job.findMany({ where })) as JobRow[]
  return new Map(rows.map((row) => [row.id, row]))
}

/** Jobs by id, of the caller's tenant or, for staff, of any; null for what is not there. */
export async function batchJobs(context: ReadContext, ids: readonly string[]): Promise<(JobRow | null)[]> {
  const known = ids.filter(isUuid).map((id) => id.toLowerCase())
  if (known.length === 0) return ids.map(() => null)
  const reader = await openReader(context, 'Job')
  const { tenantId, sql } = reader
  const keys = tenantId === null ? await findTenantsOfJobs(sql, known) : known.map((id) => ({ tenantId, id }))
  const byId = await loadJobs(reader, keys)
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
  'LeadExport',
  'LeadImport',
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
