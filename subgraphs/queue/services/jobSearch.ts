import type pg from 'pg'
import { decodeCursor, encodeCursor, listSignature } from '#platform/database/cursors.ts'
import { type Connection, makeConnection, type PageArguments, parsePageArgs } from '#platform/database/pages.ts'
import { AppError } from '#platform/errors.ts'
import { isUuid } from '#platform/graph/ids.ts'
import { type Bind, collectValues } from '../engine/conditions.ts'
import { type JobFilterFacts, jobConditions } from '../engine/jobFilter.ts'
import { inTransaction } from '../engine/sql.ts'
import { findJobsInWork } from './inWork.ts'
import { TENANTS_WITH_JOBS } from './jobPlaces.ts'
import type { Reader } from './reader.ts'
import type { JobRow } from './rows.ts'

export type JobSearch = {
  filter: JobFilterFacts
  statuses?: readonly JobRow['status'][] | null
  first?: number | null
  after?: string | null
}

/** A payload is in no index: so many jobs, newest first, are looked through for a page, and for the total. */
export const MOST_LOOKED_THROUGH = 10_000

// Ids are UUIDv7: in order of arrival.
const ORDER = [{ column: 'id', direction: 'desc' }] as const
const SIGNATURE = listSignature('jobs', ORDER)

type Place = { tenantId: string; id: string }

/** A condition over `jobs j`, its values bound to the statement at hand. */
type Conditions = (bind: Bind) => string

/**
 * Keys of a page of jobs, newest first: of one tenant by its part of the primary key, of all tenants by the newest of each.
 * With a payload to look for the page may be short of its size and still not the last one.
 * @throws AppError INVALID_INPUT for `first` out of bounds or a cursor of another list
 */
export async function findJobPlaces(reader: Reader, systemSql: pg.Pool, search: JobSearch): Promise<Connection<Place>> {
  const page = parsePageArgs(search)
  const after = readCursor(page)
  const { tenantId, payload } = search.filter
  const inWork = await findInWork(reader, search.statuses)
  const fits: Conditions = (bind) => {
    const conditions = [...jobConditions(search.filter, bind), ...statusConditions(search.statuses, inWork, bind)]
    return conditions.map((condition) => ` AND ${condition}`).join('')
  }
  const further: Conditions = (bind) => (after === null ? '' : ` AND j.id < ${bind(after)}::uuid`)
  const both: Conditions = (bind) => fits(bind) + further(bind)
  const ask = async <Row extends object>(build: Conditions) => {
    const { values, bind } = collectValues()
    const text = build(bind)
    return (await reader.sql.query<Row>(text, values)).rows
  }
  const count = async () =>
    (await ask<{ count: number }>((bind) => countJobs(search.filter, fits, bind)))[0]?.count ?? 0
  const rows =
    tenantId == null
      ? await findInAllTenants(systemSql, both, page)
      : await ask<Place>((bind) => ofTenant(tenantId, payload, both, page, bind))
  const connection = makeConnection({ rows, page, cursorOf: ({ id }) => encodeCursor(SIGNATURE, [id]), count })
  if (tenantId == null || !payload || rows.length > page.first) return connection
  const [stop] = await ask<Place>((bind) => lastLookedAt(tenantId, both, bind))
  if (!stop) return connection
  const endCursor = encodeCursor(SIGNATURE, [stop.id])
  return { ...connection, pageInfo: { ...connection.pageInfo, hasNextPage: true, endCursor } }
}

// Limits are written out: of a parameter the planner knows nothing, and then it may sort all of a tenant's jobs.
const KEY = 'j.tenant_id AS "tenantId", j.id'

function ofTenant(
  tenantId: string,
  payload: JobFilterFacts['payload'],
  fits: Conditions,
  { first }: PageArguments,
  bind: Bind,
): string {
  const own = `FROM jobs j WHERE j.tenant_id = ${bind(tenantId)}::uuid${fits(bind)} ORDER BY j.id DESC`
  if (!payload) return `SELECT ${KEY} ${own} LIMIT ${first + 1}`
  return `SELECT ${KEY} FROM (SELECT j.tenant_id, j.id, j.payload ${own} LIMIT ${MOST_LOOKED_THROUGH}) j
    WHERE j.payload @> ${bind(JSON.stringify(payload))}::jsonb ORDER BY j.id DESC LIMIT ${first + 1}`
}

// Without it the planner, when it takes a tenant's jobs for few, reads all of them and sorts.
const BY_INDEX = 'SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off'

async function findInAllTenants(pool: pg.Pool, fits: Conditions, page: PageArguments): Promise<Place[]> {
  const { values, bind } = collectValues()
  const text = ofAllTenants(fits, page, bind)
  const { rows } = await inTransaction(pool, async (tx) => {
    await tx.query(BY_INDEX)
    return tx.query<Place>(text, values)
  })
  return rows
}

/** The tenants with the newest jobs first, one look for each; the page can only come from so many of them as it is long. */
function ofAllTenants(fits: Conditions, { first }: PageArguments, bind: Bind): string {
  const limit = first + 1
  const newestOf = (most: number) =>
    `(SELECT j.tenant_id, j.id FROM jobs j WHERE j.tenant_id = t.tenant_id${fits(bind)} ORDER BY j.id DESC LIMIT ${most}) j`
  return `WITH ${TENANTS_WITH_JOBS}, latest AS (
      SELECT j.tenant_id FROM tenant t CROSS JOIN LATERAL ${newestOf(1)} ORDER BY j.id DESC LIMIT ${limit}
    )
    SELECT ${KEY} FROM latest t CROSS JOIN LATERAL ${newestOf(limit)} ORDER BY j.id DESC LIMIT ${limit}`
}

/** Where a search for a payload stops; nothing if it comes to the end. */
function lastLookedAt(tenantId: string, fits: Conditions, bind: Bind): string {
  return `SELECT ${KEY} FROM jobs j WHERE j.tenant_id = ${bind(tenantId)}::uuid${fits(bind)}
    ORDER BY j.id DESC OFFSET ${MOST_LOOKED_THROUGH - 1} LIMIT 1`
}

function countJobs({ tenantId, payload }: JobFilterFacts, fits: Conditions, bind: Bind): string {
  const own = tenantId == null ? 'true' : `j.tenant_id = ${bind(tenantId)}::uuid`
  if (!payload) return `SELECT count(*)::int AS count FROM jobs j WHERE ${own}${fits(bind)}`
  return `SELECT count(*)::int AS count FROM (
      SELECT j.payload FROM jobs j WHERE ${own}${fits(bind)} ORDER BY j.id DESC LIMIT ${MOST_LOOKED_THROUGH}) j
    WHERE j.payload @> ${bind(JSON.stringify(payload))}::jsonb`
}

/** Jobs in work, if the statuses asked for tell them from those that wait; the table does not. */
async function findInWork(reader: Reader, statuses: JobSearch['statuses']): Promise<string[]> {
  const tellApart = statuses != null && statuses.includes('processing') !== statuses.includes('queued')
  return tellApart ? findJobsInWork(reader) : []
}

function statusConditions(statuses: JobSearch['statuses'], inWork: readonly string[], bind: Bind): string[] {
  if (statuses == null) return []
  const stored = statuses.filter((status) => status !== 'processing')
  const isStored = `j.status = ANY(${bind(stored)})`
  if (statuses.includes('processing') === statuses.includes('queued')) return [isStored]
  const isInWork = `j.status = 'queued' AND j.id = ANY(${bind(inWork)}::uuid[])`
  return statuses.includes('queued') ? [isStored, `NOT (${isInWork})`] : [`(${isStored} OR ${isInWork})`]
}

function readCursor({ after }: PageArguments): string | null {
  if (after === null) return null
  const [id] = decodeCursor(after, SIGNATURE, ORDER.length)
  if (!isUuid(id)) throw new AppError('INVALID_INPUT', 'after: not a cursor of this list in this order')
  return id
}
