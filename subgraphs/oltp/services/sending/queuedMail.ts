import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import type { OutboxEventInput } from '#platform/outbox/append.ts'
import type { MessageRow } from '../rows.ts'

/** A mail of ours whose content is stored, about to be queued to leave at `scheduledAt`. */
export type QueuedMail = Pick<
  MessageRow,
  | 'id'
  | 'emailAccountId'
  | 'campaignId'
  | 'stepId'
  | 'leadId'
  | 'enrollmentId'
  | 'parentMessageId'
  | 'threadId'
  | 'fromEmail'
  | 'toEmail'
  | 'subject'
  | 'rfc822MessageId'
  | 'dedupKey'
  | 'contentStorageKey'
  | 'smtpIpAddressId'
  | 'createdAt'
> & { scheduledAt: Date }

const INSERT = `
  INSERT INTO inbox_message_refs (tenant_id, id, email_account_id, campaign_id, step_id, lead_id, enrollment_id,
    parent_message_id, thread_id, from_email, to_email, subject, rfc822_message_id, dedup_key, content_storage_key,
    smtp_ip_address_id, direction, status, is_read, queued_at, scheduled_at, created_at)
  SELECT $1, id, "emailAccountId", "campaignId", "stepId", "leadId", "enrollmentId", "parentMessageId", "threadId",
    "fromEmail", "toEmail", subject, "rfc822MessageId", "dedupKey", "contentStorageKey", "smtpIpAddressId", 'outbound',
    'queued', true, "createdAt", "scheduledAt", "createdAt"
  FROM jsonb_to_recordset($2::jsonb) AS m (id uuid, "emailAccountId" uuid, "campaignId" uuid, "stepId" uuid,
    "leadId" uuid, "enrollmentId" uuid, "parentMessageId" uuid, "threadId" uuid, "fromEmail" text, "toEmail" text,
    subject text, "rfc822MessageId" text, "dedupKey" text, "contentStorageKey" text, "smtpIpAddressId" uuid,
    "scheduledAt" timestamptz, "createdAt" timestamptz)
  ON CONFLICT DO NOTHING RETURNING id`

/**
 * Writes mails of the tenant in scope as queued, in one statement. Answers the ids of those written: a lead's mail of a
 * step that there is already is left as it is. Announce each written one with `mailDue` in the same transaction.
 */
export async function insertQueuedMails(tx: Queryable, mails: readonly QueuedMail[]): Promise<Set<string>> {
  if (mails.length === 0) return new Set()
  const values = [currentTenant(), JSON.stringify(mails)]
  const { rows } = await tx.query<{ id: string }>({ name: 'queue_mails', text: INSERT }, values)
  return new Set(rows.map(({ id }) => id))
}

type DueParts = Pick<MessageRow, 'id' | 'emailAccountId' | 'campaignId'> & { scheduledAt: Date; version?: number }

/** A mail is to leave: becomes the job that sends it, at its time. */
export function mailDue(
  { id, emailAccountId, campaignId, scheduledAt, version = 1 }: DueParts,
  requestId: string,
): OutboxEventInput {
  return {
    tenantId: currentTenant(),
    aggregateType: 'InboxMessageRef',
    aggregateId: id,
    aggregateVersion: version,
    eventType: 'mail.due',
    correlationId: requestId,
    payload: { messageId: id, campaignId, emailAccountId, scheduledAt: scheduledAt.toISOString() },
  }
}
