import { v7 as uuidv7 } from 'uuid'

/** What happened, as its producer tells it. The relay adds `eventId`, `tenantId` and `acceptedAt` to the payload. */
export type OutboxEventInput = {
  /** UUIDv7; made here unless the producer needs to know it beforehand. */
  id?: string
  tenantId: string
  /** GraphQL type name of what changed: becomes the job's subject. */
  aggregateType: string
  aggregateId: string
  aggregateVersion?: number
  /** Key of the tier's routes, e.g. `email.sent`. */
  eventType: string
  payload: object
  correlationId?: string | null
}

type OutboxRow = {
  id: string
  tenantId: string
  aggregateType: string
  aggregateId: string
  aggregateVersion: number
  eventType: string
  // biome-ignore lint/suspicious/noExplicitAny: each tier's client has its own InputJsonValue
  payload: any
  correlationId: string | null
}

/** A pg client inside a transaction. */
export type OutboxQueryable = { query(text: string, values: unknown[]): Promise<unknown> }
/** A Prisma transaction client of any tier. */
export type OutboxPrisma = { outboxEvent: { createMany(args: { data: OutboxRow[] }): PromiseLike<unknown> } }
export type OutboxTransaction = OutboxQueryable | OutboxPrisma

// created_at is left to the table's default, clock_timestamp(): the frontier reasons about that very clock.
const INSERT_EVENTS = `
  INSERT INTO outbox_events
    (tenant_id, id, aggregate_type, aggregate_id, aggregate_version, event_type, payload, correlation_id)
  SELECT e."tenantId", e.id, e."aggregateType", e."aggregateId", e."aggregateVersion", e."eventType", e.payload,
         e."correlationId"
  FROM jsonb_to_recordset($1::jsonb) AS e("tenantId" uuid, id uuid, "aggregateType" text, "aggregateId" text,
         "aggregateVersion" int, "eventType" text, payload jsonb, "correlationId" text)`

/**
 * Writes events to the tier's outbox in the caller's transaction, so that a change and its announcement are one.
 * Call the relay's `wake()` after the commit to have them delivered at once. Answers the events' ids, in order.
 */
export async function appendOutbox(tx: OutboxTransaction, events: readonly OutboxEventInput[]): Promise<string[]> {
  if (events.length === 0) return []
  const rows = events.map(toRow)
  // Asked for rather than tested with `in`: Prisma's clients are proxies.
  const { outboxEvent } = tx as Partial<OutboxPrisma>
  if (outboxEvent) await outboxEvent.createMany({ data: rows })
  else await (tx as OutboxQueryable).query(INSERT_EVENTS, [JSON.stringify(rows)])
  return rows.map((row) => row.id)
}

function toRow(event: OutboxEventInput): OutboxRow {
  return {
    id: event.id ?? uuidv7(),
    tenantId: event.tenantId,
    aggregateType: event.aggregateType,
    aggregateId: event.aggregateId,
    aggregateVersion: event.aggregateVersion ?? 1,
    eventType: event.eventType,
    payload: event.payload,
    correlationId: event.correlationId ?? null,
  }
}
