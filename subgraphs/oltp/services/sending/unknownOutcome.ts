import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import type { Log } from '#platform/log.ts'
import { auditAll } from '#platform/outbox/announce.ts'
import type { LeavingMail } from './leavingMails.ts'
import { notifyOwners } from './notifyOwners.ts'

type Reported = { at: Date; requestId: string; log: Log }

/**
 * Reports mails of which nobody can know whether the other server took them: each in the audit log, all together to the
 * tenant's owners. They are given up, never sent again, and their leads go on as if they had left.
 */
export async function recordUnknown(
  tx: Queryable,
  mails: readonly LeavingMail[],
  { requestId, log }: Reported,
): Promise<void> {
  if (mails.length === 0) return
  const tenantId = currentTenant()
  await auditAll(
    tx,
    mails.map((mail) => ({
      ...{ tenantId, correlationId: requestId, action: 'mail.outcomeUnknown' },
      ...{ resourceType: 'InboxMessageRef', resourceId: mail.id },
      newValues: { status: 'failed', failureReason: 'outcome_unknown', attempt: mail.sendAttempts },
      notes: 'the connection ended after the text was sent and before the other server answered; not sent again',
    })),
  )
  await notifyOwners(tx, {
    requestId,
    type: 'mail_outcome_unknown',
    title:
      mails.length === 1 ? 'A mail may or may not have arrived' : `${mails.length} mails may or may not have arrived`,
    message:
      'The connection to the mail server ended before it said whether it took them. They are not sent again, so that nobody gets a mail twice.',
    metadata: { messageIds: mails.slice(0, 100).map(({ id }) => id) },
  })
  log.warn({ mails: mails.map(({ id }) => id) }, 'mails whose outcome cannot be known')
}
