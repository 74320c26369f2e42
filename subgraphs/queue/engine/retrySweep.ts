import { z } from 'zod'
import { groupBy } from '#platform/grouping.ts'
import { audit } from '#platform/outbox/announce.ts'
import { type Bind, collectValues } from './conditions.ts'
import { ENDED_BADLY, jobConditions, jobFilter } from './jobFilter.ts'
import { requeueEnded } from './requeue.ts'
import type { Step, Sweep } from './sweep.ts'

/** Which jobs to run again: those that ended in one of these ways. */
export const retryFilter = jobFilter.extend({ statuses: z.array(z.enum(ENDED_BADLY)).min(1) })
export type RetryFilter = z.output<typeof retryFilter>

export type RetryRow = { tenantId: string; status: string; id: string }

/** The condition on status is said twice: as a constant it is what the index of such jobs is made of. */
function conditions(filter: RetryFilter, asOf: Date | null, bind: Bind): string {
  return [
    `j.status IN ('failed', 'cancelled', 'expired') AND j.status = ANY(${bind(filter.statuses)})`,
    ...(filter.tenantId ? [`j.tenant_id = ${bind(filter.tenantId)}::uuid`] : []),
    ...jobConditions(filter, bind),
    ...(filter.payload ? [`j.payload @> ${bind(JSON.stringify(filter.payload))}::jsonb`] : []),
    ...(asOf ? [`j.updated_at <= ${bind(asOf)}`] : []),
  ].join(' AND ')
}

/** Runs jobs again that failed, were cancelled or expired, tenant by tenant, the newest first. */
export const jobRetry: Sweep<RetryFilter, RetryRow> = {
  async count(sql, filter, asOf) {
    const { values, bind } = collectValues()
    const text = `SELECT count(*)::int AS count FROM jobs j WHERE ${conditions(filter, asOf, bind)}`
    return (await sql.query<{ count: number }>(text, values)).rows[0]?.count ?? 0
  },
  async find(sql, filter, { asOf, after, limit }) {
    const { values, bind } = collectValues()
    const where = conditions(filter, asOf, bind)
    const { rows } = await sql.query<RetryRow>(
      `SELECT j.tenant_id AS "tenantId", j.status, j.id FROM jobs j WHERE ${where} ${after ? further(after, bind) : ''}
       ORDER BY j.tenant_id, j.status, j.id DESC LIMIT ${limit}`,
      values,
    )
    return rows
  },
  placeOf: ({ tenantId, status, id }) => [tenantId, status, id],
  async apply(tx, jobs, { filter, userId, correlationId }) {
    const all: Step = { ids: [], failures: [], queueNames: [] }
    for (const [tenantId, own] of groupBy(jobs, (job) => job.tenantId)) {
      const { ids, queueNames, refused } = await requeueEnded(tx, {
        ...{ tenantId, ids: own.map(({ id }) => id), from: filter.statuses, userId, note: 'retried by a person' },
      })
      all.ids.push(...ids)
      all.failures.push(...[...refused].map(([id, reason]) => ({ id, reason })))
      all.queueNames.push(...queueNames)
      if (ids.length === 0) continue
      await audit(tx, {
        ...{ tenantId, correlationId, adminUserId: userId, action: 'jobs.retried' },
        ...{ resourceType: 'Job', resourceId: '*', newValues: { filter, jobs: ids } },
      })
    }
    return { ...all, queueNames: [...new Set(all.queueNames)] }
  },
}

/** After a place in the index's own order: the bound is where a scan begins, the rest leaves out what it passed. */
function further(after: readonly string[], bind: Bind): string {
  const [tenantId, status, id] = [`${bind(after[0])}::uuid`, `${bind(after[1])}::text`, `${bind(after[2])}::uuid`]
  return `AND (j.tenant_id, j.status) >= (${tenantId}, ${status})
    AND NOT (j.tenant_id = ${tenantId} AND j.status = ${status} AND j.id >= ${id})`
}
