import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'

const HOLD = `
  SELECT a.status, d.verification_status = 'verified' AS "isVerified"
  FROM email_accounts a JOIN domains d ON d.tenant_id = a.tenant_id AND d.id = a.domain_id AND d.deleted_at IS NULL
  WHERE a.tenant_id = $1 AND a.id = $2 AND a.deleted_at IS NULL FOR SHARE OF a`

/** What decides whether a person may write from a mailbox: the same as when the mail leaves. */
export type Sender = { status: string; isVerified: boolean; pausedReason?: string | null }

/** @throws AppError CONFLICT for a mailbox from which mail would only wait */
export function requireActive({ status, isVerified, pausedReason }: Sender): void {
  if (status !== 'active') {
    throw new AppError('CONFLICT', `the mailbox is ${status}${pausedReason ? `: ${pausedReason}` : ''}`)
  }
  if (!isVerified) throw new AppError('CONFLICT', "the mailbox's domain is not verified")
}

/**
 * Holds a mailbox as it is until the transaction ends.
 * @throws AppError CONFLICT unless mail of it would leave
 */
export async function holdSender(tx: Queryable, emailAccountId: string): Promise<void> {
  const { rows } = await tx.query<Sender>({ name: 'hold_sender', text: HOLD }, [currentTenant(), emailAccountId])
  requireActive(rows[0] ?? { status: 'deleted', isVerified: false })
}
