import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { audit } from '#platform/outbox/announce.ts'
import { notifyOwners } from './notifyOwners.ts'

const DISCONNECT = `
  UPDATE email_accounts SET status = 'disconnected', paused_reason = $3, paused_at = $4
  WHERE tenant_id = $1 AND id = $2 AND status IN ('active', 'pending') AND deleted_at IS NULL RETURNING email`

/**
 * Takes mailboxes out of use whose server does not accept our credentials, and tells their owners; once, however many mails
 * met it. Their mail waits.
 * @param refused the server's answer by mailbox
 */
export async function disconnectMailboxes(
  tx: Queryable,
  refused: ReadonlyMap<string, string | null>,
  { at, requestId }: { at: Date; requestId: string },
): Promise<void> {
  const tenantId = currentTenant()
  for (const [id, answer] of [...refused].sort()) {
    const reason = `the mail server did not accept the password${answer ? `: ${answer.slice(0, 200)}` : ''}`
    const statement = { name: 'disconnect_mailbox', text: DISCONNECT }
    const { rows } = await tx.query<{ email: string }>(statement, [tenantId, id, reason, at])
    const [mailbox] = rows
    if (!mailbox) continue
    await audit(tx, {
      ...{ tenantId, correlationId: requestId, action: 'emailAccount.disconnect' },
      ...{ resourceType: 'EmailAccount', resourceId: id },
      oldValues: { status: 'active' },
      newValues: { status: 'disconnected', pausedReason: reason },
    })
    await notifyOwners(tx, {
      requestId,
      type: 'mailbox_disconnected',
      title: `${mailbox.email} is disconnected`,
      message: `${reason}. Its mail waits until the mailbox is connected again.`,
      priority: 'high',
      metadata: { emailAccountId: id },
    })
  }
}
