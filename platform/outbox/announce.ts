import { type AuditPayload, auditPayload } from '../contracts/auditEntry.ts'
import { type NotificationPayload, notificationPayload } from '../contracts/notification.ts'
import { appendOutbox, type OutboxTransaction } from './append.ts'

type Announcement = { tenantId: string; correlationId?: string | null }

/**
 * Records who did what in the caller's transaction; a job carries it to the analytics tier's audit log.
 * A change of the platform's own is recorded under the platform tenant. Answers the event's id.
 */
export async function audit(tx: OutboxTransaction, entry: AuditPayload & Announcement): Promise<string> {
  const [id] = await auditAll(tx, [entry])
  return id as string
}

/** The same for several at once, in one statement. */
export function auditAll(tx: OutboxTransaction, entries: readonly (AuditPayload & Announcement)[]): Promise<string[]> {
  return appendOutbox(
    tx,
    entries.map(({ tenantId, correlationId, ...rest }) => {
      const payload = auditPayload.parse(rest)
      return {
        tenantId,
        correlationId,
        aggregateType: payload.resourceType,
        aggregateId: payload.resourceId,
        eventType: 'audit.recorded',
        payload,
      }
    }),
  )
}

/** Tells a user something by way of a job to the content tier, if the caller's transaction commits. Answers the event's id. */
export async function notify(tx: OutboxTransaction, notification: NotificationPayload & Announcement): Promise<string> {
  const { tenantId, correlationId, ...rest } = notification
  const payload = notificationPayload.parse(rest)
  const [id] = await appendOutbox(tx, [
    {
      tenantId,
      correlationId,
      aggregateType: 'User',
      aggregateId: payload.userId,
      eventType: 'notification.requested',
      payload,
    },
  ])
  return id as string
}
