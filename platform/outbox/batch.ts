import type pg from 'pg'
import { type DeliverJobs, type DeliveryOutcome, deliverEach, type JobToEnqueue } from '#platform/jobs/delivery.ts'
import type { Tier } from '../contracts/tiers.ts'
import type { Log } from '../log.ts'
import type { OutboxRoutes } from './relay.ts'
import { describeEvent, type EventPayload, type OutboxRoute } from './route.ts'

type OutboxRow = {
  tenant_id: string
  id: string
  aggregate_type: string
  aggregate_id: string
  event_type: string
  payload: Record<string, unknown>
  correlation_id: string | null
  created_at: Date
}

export type BatchOptions = {
  tier: Tier
  systemSql: pg.Pool
  routes: OutboxRoutes
  deliver: DeliverJobs
  limit: number
  log: Log
}

// A cursor over ids would lose events that commit late; locks and deletion lose none. next_attempt_at is rounded to
// milliseconds, possibly up: without the extra one, a relay woken by a commit would not see what it was woken for.
const TAKE = `
  SELECT tenant_id, id, aggregate_type, aggregate_id, event_type, payload, correlation_id, created_at
  FROM outbox_events
  WHERE parked_at IS NULL AND next_attempt_at <= clock_timestamp() + interval '1 millisecond'
  ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED`

const DELETE_DELIVERED = `
  DELETE FROM outbox_events o USING unnest($1::uuid[], $2::uuid[]) AS d(tenant_id, id)
  WHERE o.tenant_id = d.tenant_id AND o.id = d.id`

// Waits 0.25 s, doubled by each failure up to 10 s, give or take a half.
const POSTPONE_FAILED = `
  UPDATE outbox_events o
  SET attempts = o.attempts + 1, last_error = f.error,
      next_attempt_at = clock_timestamp()
        + least(10000, 250 * power(2, least(o.attempts, 10))) * (0.5 + random()) * interval '1 millisecond'
  FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS f(tenant_id, id, error)
  WHERE o.tenant_id = f.tenant_id AND o.id = f.id`

const PARK_REFUSED = `
  UPDATE outbox_events o SET attempts = o.attempts + 1, last_error = r.error, parked_at = clock_timestamp()
  FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS r(tenant_id, id, error)
  WHERE o.tenant_id = r.tenant_id AND o.id = r.id`

/** How many events were taken, and how many of them are to be tried again. */
export type BatchOutcome = { taken: number; failed: number }

/**
 * Takes up to `limit` due events, hands them to the queue and settles each by its own answer, in one transaction: a
 * process that dies in between leaves them all to be delivered again.
 */
export async function deliverBatch(options: BatchOptions): Promise<BatchOutcome> {
  const { tier, systemSql, routes, deliver, limit, log } = options
  const client = await systemSql.connect()
  let broken: Error | undefined
  try {
    await client.query('BEGIN')
    const { rows } = await client.query<OutboxRow>(TAKE, [limit])
    const failed = rows.length > 0 ? await settle(client, rows, await deliverRows(tier, rows, routes, deliver), log) : 0
    await client.query('COMMIT')
    return { taken: rows.length, failed }
  } catch (error) {
    broken = error instanceof Error ? error : new Error(String(error))
    throw error
  } finally {
    // A connection in a failed transaction is closed, which also rolls back.
    client.release(broken)
  }
}

async function deliverRows(
  tier: Tier,
  rows: readonly OutboxRow[],
  routes: OutboxRoutes,
  deliver: DeliverJobs,
): Promise<Map<string, DeliveryOutcome>> {
  const outcomes = new Map<string, DeliveryOutcome>()
  const jobs: JobToEnqueue[] = []
  for (const row of rows) {
    const route = Object.hasOwn(routes, row.event_type) ? routes[row.event_type] : undefined
    try {
      if (!route) throw new Error(`no route for events of type ${row.event_type}`)
      jobs.push(makeJob(tier, row, route))
    } catch (error) {
      outcomes.set(row.id, { kind: 'refused', error: error instanceof Error ? error.message : String(error) })
    }
  }
  if (jobs.length > 0) for (const [id, outcome] of await deliverEach(jobs, deliver)) outcomes.set(id, outcome)
  return outcomes
}

/** @throws Error when the route cannot describe this event's job */
function makeJob(tier: Tier, row: OutboxRow, { describe, ...route }: OutboxRoute): JobToEnqueue {
  const { campaignId } = row.payload
  const payload: EventPayload = {
    ...row.payload,
    ...{ eventId: row.id, tenantId: row.tenant_id, acceptedAt: row.created_at.toISOString() },
  }
  const description = describe && describeEvent(describe, payload)
  return {
    ...route,
    ...description,
    priority: description?.priority ?? route.priority,
    tenantId: row.tenant_id,
    source: tier,
    key: row.id,
    payload,
    correlationId: row.correlation_id,
    subjectTypename: row.aggregate_type,
    subjectId: row.aggregate_id,
    campaignId: typeof campaignId === 'string' ? campaignId : null,
  }
}

/** Answers how many are to be tried again. */
async function settle(
  client: pg.PoolClient,
  rows: readonly OutboxRow[],
  outcomes: ReadonlyMap<string, DeliveryOutcome>,
  log: Log,
): Promise<number> {
  const delivered: OutboxRow[] = []
  const failed: { row: OutboxRow; error: string }[] = []
  const refused: { row: OutboxRow; error: string }[] = []
  for (const row of rows) {
    const outcome = outcomes.get(row.id) ?? { kind: 'failed', error: 'not delivered' }
    if (outcome.kind === 'delivered') delivered.push(row)
    else (outcome.kind === 'refused' ? refused : failed).push({ row, error: outcome.error })
  }
  if (delivered.length > 0) {
    await client.query(DELETE_DELIVERED, [delivered.map((row) => row.tenant_id), delivered.map((row) => row.id)])
  }
  for (const [statement, unsettled] of [
    [POSTPONE_FAILED, failed],
    [PARK_REFUSED, refused],
  ] as const) {
    if (unsettled.length === 0) continue
    await client.query(statement, [
      unsettled.map(({ row }) => row.tenant_id),
      unsettled.map(({ row }) => row.id),
      unsettled.map(({ error }) => error.slice(0, 2_000)),
    ])
  }
  if (failed[0]) log.warn({ events: failed.length, error: failed[0].error }, 'events could not be delivered yet')
  for (const { row, error } of refused) {
    log.error({ event: row.id, tenant: row.tenant_id, eventType: row.event_type, error }, 'event parked')
  }
  return failed.length
}
