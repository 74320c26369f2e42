import type pg from 'pg'
import { type Caller, requireStaff } from '../caller/caller.ts'
import { type Connection, findPage, type PageDelegate } from '../database/pages.ts'
import { PLATFORM_TENANT } from '../database/tenantScope.ts'
import { AppError } from '../errors.ts'
import { filterId, readId } from '../graph/ids.ts'
import { audit } from './announce.ts'

/** One event of a tier's outbox, as staff see it: without its payload. */
export type OutboxEventRow = {
  tenantId: string
  id: string
  aggregateType: string
  aggregateId: string
  aggregateVersion: number
  eventType: string
  attempts: number
  nextAttemptAt: Date
  lastError: string | null
  parkedAt: Date | null
  createdAt: Date
}

export type OutboxPage = {
  first?: number | null
  after?: string | null
  filter?: { isParked?: boolean | null; tenantId?: string | null } | null
}

/**
 * A page of what waits in a tier's outbox, oldest first, once it is recorded that staff looked.
 * @param outboxEvent the model of the tier's system client
 * @throws AppError FORBIDDEN for anyone but staff
 */
export async function findOutboxEvents(
  { caller, systemSql, outboxEvent }: { caller: Caller; systemSql: pg.Pool; outboxEvent: PageDelegate },
  { filter, ...page }: OutboxPage,
): Promise<Connection<OutboxEventRow>> {
  const { userId, roles, requestId } = requireStaff(caller)
  await audit(systemSql, {
    ...{ tenantId: PLATFORM_TENANT, correlationId: requestId, adminUserId: userId, action: 'staff.read' },
    ...{ resourceType: 'OutboxEvent', resourceId: '*', notes: `as ${roles.join(', ')}` },
  })
  const where = {
    tenantId: filterId(filter?.tenantId),
    ...(filter?.isParked != null && { parkedAt: filter.isParked ? { not: null } : null }),
  }
  const events = await findPage(outboxEvent, { ...page, where, sort: [{ field: 'id', direction: 'asc' }] })
  return events as unknown as Connection<OutboxEventRow>
}

const COLUMNS = `tenant_id AS "tenantId", id, aggregate_type AS "aggregateType", aggregate_id AS "aggregateId",
  aggregate_version AS "aggregateVersion", event_type AS "eventType", attempts, next_attempt_at AS "nextAttemptAt",
  last_error AS "lastError", parked_at AS "parkedAt", created_at AS "createdAt"`

// The relay holds the rows it is at; what it has not parked yet is not ours to touch.
const LOCK = `SELECT ${COLUMNS} FROM outbox_events WHERE id = $1 FOR UPDATE`
const UNPARK = `
  UPDATE outbox_events SET parked_at = NULL, attempts = 0, next_attempt_at = clock_timestamp()
  WHERE tenant_id = $1 AND id = $2 RETURNING ${COLUMNS}`

/**
 * Has a parked event delivered again, now that what made the queue refuse it is mended; if it is not, the event is parked
 * anew. The audit log of the event's tenant is told. Wake the relay afterwards.
 * @throws AppError FORBIDDEN for anyone but operators; NOT_FOUND; CONFLICT for an event that is not parked; INVALID_INPUT
 */
export async function unparkOutboxEvent(
  { caller, systemSql }: { caller: Caller; systemSql: pg.Pool },
  input: { id: string },
): Promise<OutboxEventRow> {
  const { userId, requestId } = requireStaff(caller, 'operator')
  const id = readId(input.id, 'input.id')
  const client = await systemSql.connect()
  let broken: Error | undefined
  try {
    await client.query('BEGIN')
    const event = (await client.query<OutboxEventRow>(LOCK, [id])).rows[0]
    if (!event) throw new AppError('NOT_FOUND', 'there is no such event')
    if (!event.parkedAt) throw new AppError('CONFLICT', 'the event is not parked')
    const { rows } = await client.query<OutboxEventRow>(UNPARK, [event.tenantId, id])
    await audit(client, {
      ...{ tenantId: event.tenantId, correlationId: requestId, adminUserId: userId, action: 'outboxEvent.unparked' },
      ...{
        resourceType: 'OutboxEvent',
        resourceId: id,
        oldValues: { eventType: event.eventType, error: event.lastError },
      },
    })
    await client.query('COMMIT')
    return rows[0] as OutboxEventRow
  } catch (error) {
    await client.query('ROLLBACK').catch((cause) => {
      broken = cause
    })
    throw error
  } finally {
    client.release(broken)
  }
}
