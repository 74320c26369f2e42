import { z } from 'zod'
import { groupBy } from '#platform/grouping.ts'
import { audit } from '#platform/outbox/announce.ts'
import { type Bind, collectValues } from './conditions.ts'
import { jobConditions, jobFilter } from './jobFilter.ts'
import type { Sql } from './sql.ts'
import type { Step, Sweep } from './sweep.ts'

export const LOWEST_PRIORITY = 32_767

/** Which waiting jobs to move, and to which priority. */
export const priorityFilter = jobFilter.extend({ target: z.number().int().min(1).max(LOWEST_PRIORITY) })
export type PriorityFilter = z.output<typeof priorityFilter>

export type PriorityRow = { tenantId: string; id: string; queueName: string; priority: number; seq: string }

const REPRIORITIZE = `
  UPDATE jobs j SET priority = $3, updated_at = clock_timestamp() FROM unnest($1::uuid[], $2::uuid[]) AS w (tenant_id, id)
  WHERE j.tenant_id = w.tenant_id AND j.id = w.id AND j.status = 'queued' RETURNING j.id`

const LOG = `
  INSERT INTO job_logs (tenant_id, job_id, attempt_number, log_level, message)
  SELECT tenant_id, id, 0, 'info', $3 FROM unnest($1::uuid[], $2::uuid[]) AS moved (tenant_id, id)`

const SCOPE = `SELECT current_setting('app.current_tenant_id', true) AS tenant`

const COLUMNS = 'j.tenant_id AS "tenantId", j.id, j.queue_name AS "queueName", j.priority, j.seq'
const ORDER = 'queue_name, tenant_id, priority, seq'

/** What has been moved fits no more, wherever it stands now. */
function conditions(filter: PriorityFilter, asOf: Date | null, bind: Bind): string {
  return [
    `j.status = 'queued' AND j.priority <> ${bind(filter.target)}::int`,
    ...(filter.tenantId ? [`j.tenant_id = ${bind(filter.tenantId)}::uuid`] : []),
    ...jobConditions(filter, bind),
    ...(filter.payload ? [`j.payload @> ${bind(JSON.stringify(filter.payload))}::jsonb`] : []),
    ...(asOf ? [`j.queued_at <= ${bind(asOf)}`] : []),
  ].join(' AND ')
}

/** Moves waiting jobs up or down in their queues, in the order in which they would have run. Those in work stay. */
export const jobPriority: Sweep<PriorityFilter, PriorityRow> = {
  async count(sql, filter, asOf) {
    const { values, bind } = collectValues()
    const where = conditions(filter, asOf, bind)
    // In two halves, each of which an index of waiting jobs is made of.
    const half = (isDue: string) => `(SELECT count(*) FROM jobs j WHERE ${where} AND ${isDue})`
    const text = `SELECT (${half('j.is_due')} + ${half('NOT j.is_due')})::int AS count`
    return (await sql.query<{ count: number }>(text, values)).rows[0]?.count ?? 0
  },
  async find(sql, filter, { asOf, after, limit }) {
    const { values, bind } = collectValues()
    const where = `${conditions(filter, asOf, bind)} ${after ? further(after, bind) : ''}`
    const half = (isDue: string) =>
      `(SELECT j.* FROM jobs j WHERE ${where} AND ${isDue} ORDER BY ${ORDER} LIMIT ${limit})`
    const { rows } = await sql.query<PriorityRow>(
      `SELECT ${COLUMNS} FROM (${half('j.is_due')} UNION ALL ${half('NOT j.is_due')}) AS j ORDER BY ${ORDER} LIMIT ${limit}`,
      values,
    )
    return rows
  },
  placeOf: ({ queueName, tenantId, priority, seq }) => [queueName, tenantId, String(priority), seq],
  async apply(tx, jobs, { filter, userId, correlationId }) {
    // Under the queues' locks a job that no lease holds is in nobody's hands; in one order, or two sweeps would deadlock.
    const queueNames = [...new Set(jobs.map(({ queueName }) => queueName))].toSorted()
    for (const name of queueNames) await tx.query('SELECT lock_queue($1)', [name])
    const ids = jobs.map(({ id }) => id)
    const held = await findHeld(tx, ids)
    const waiting = jobs.filter(({ id }) => !held.has(id))
    const columns = [waiting.map(({ tenantId }) => tenantId), waiting.map(({ id }) => id)]
    const { rows } = await tx.query<{ id: string }>(REPRIORITIZE, [...columns, filter.target])
    const moved = new Set(rows.map(({ id }) => id))
    const step: Step = { ids: ids.filter((id) => moved.has(id)), failures: [], queueNames: [] }
    for (const id of ids) {
      if (!moved.has(id)) step.failures.push({ id, reason: held.has(id) ? 'the job is in work' : 'the job has ended' })
    }
    const changed = waiting.filter(({ id }) => moved.has(id))
    await tx.query(LOG, [
      changed.map(({ tenantId }) => tenantId),
      changed.map(({ id }) => id),
      `given the priority ${filter.target} by a person`,
    ])
    for (const [tenantId, own] of groupBy(changed, (job) => job.tenantId)) {
      await audit(tx, {
        ...{ tenantId, correlationId, adminUserId: userId, action: 'jobs.reprioritized' },
        ...{ resourceType: 'Job', resourceId: '*' },
        newValues: { filter, priority: filter.target, jobs: own.map(({ id }) => id) },
      })
    }
    return step
  },
}

/** Which of these jobs leases hold. A tenant's transaction may ask for the tenant's only. */
async function findHeld(tx: Sql, ids: readonly string[]): Promise<Set<string>> {
  const { rows: scopes } = await tx.query<{ tenant: string | null }>(SCOPE)
  const source = scopes[0]?.tenant ? 'my_held_jobs($1)' : 'held_jobs(NULL, $1)'
  const { rows } = await tx.query<{ id: string }>(`SELECT id FROM ${source}`, [ids])
  return new Set(rows.map(({ id }) => id))
}

/** After a place in the order of the claim's index. */
function further(after: readonly string[], bind: Bind): string {
  const [queueName, tenantId, priority, seq] = after.map((part) => bind(part))
  return `AND (j.queue_name, j.tenant_id, j.priority, j.seq) > (${queueName}::text, ${tenantId}::uuid, ${priority}::int, ${seq}::bigint)`
}
