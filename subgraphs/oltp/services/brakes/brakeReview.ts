import type { ReactivateEmailAccountInput } from '#graphql/oltp'
import { now } from '#platform/clock.ts'
import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { readId } from '#platform/graph/ids.ts'
import { appendOutbox } from '#platform/outbox/append.ts'
import type { Context } from '../../context.ts'
import { changeAudited } from '../changes.ts'
import type { EmailAccountRow } from '../rows.ts'
import { wakeCampaigns } from '../sending/agenda.ts'
import { mailDue } from '../sending/queuedMail.ts'
import { lockRow, updateRow } from '../tenantRows.ts'
import { readOptionalText } from '../texts.ts'

const MAX_NOTE_LENGTH = 2_000
const STOPPED = ['paused', 'suspended', 'disconnected']

const CAMPAIGNS = `
  SELECT DISTINCT c.id FROM campaigns c JOIN domains d ON d.tenant_id = c.tenant_id AND d.company_id = c.company_id
  WHERE c.tenant_id = $1 AND d.id = $2 AND c.status = 'sending' AND c.deleted_at IS NULL`

// Campaigns' mail gets a new time from the planner; what belongs to none has waited for the mailbox alone.
const RELEASE = `
  WITH waiting AS (
    SELECT id FROM inbox_message_refs
    WHERE tenant_id = $1 AND email_account_id = $2 AND direction = 'outbound' AND status = 'queued' AND campaign_id IS NULL
    ORDER BY id FOR NO KEY UPDATE
  )
  UPDATE inbox_message_refs r SET queued_at = $3, scheduled_at = $3, version = r.version + 1
  FROM waiting WHERE r.tenant_id = $1 AND r.id = waiting.id
  RETURNING r.id, r.email_account_id AS "emailAccountId", r.campaign_id AS "campaignId",
    r.scheduled_at AS "scheduledAt", r.version`

type Locked = Pick<EmailAccountRow, 'id' | 'domainId' | 'status' | 'pausedReason'> & Record<string, unknown>

/**
 * Lets a mailbox send again that a brake, a failed login or a person has stopped. What came back before counts no more.
 * One that is suspended has been reviewed: the note says with what result.
 * @throws AppError NOT_FOUND; CONFLICT unless it is paused, suspended or disconnected; INVALID_INPUT for a suspended one
 *         without a note
 */
export async function reactivateEmailAccount(
  context: Context,
  input: ReactivateEmailAccountInput,
): Promise<EmailAccountRow> {
  const id = readId(input.emailAccountId, 'emailAccountId')
  const note = readOptionalText(input.note, 'note', MAX_NOTE_LENGTH)
  await changeAudited(context, async (tx, record) => {
    const before = await lockRow<Locked>(tx, 'email_accounts', id, ['id', 'domainId', 'status', 'pausedReason'])
    if (!before) throw new AppError('NOT_FOUND', 'emailAccountId: there is no such mailbox')
    if (!STOPPED.includes(before.status)) throw new AppError('CONFLICT', `the mailbox is ${before.status}`)
    if (before.status === 'suspended' && note === null) {
      throw new AppError('INVALID_INPUT', 'note: a suspended mailbox needs one')
    }
    const at = now()
    await updateRow(tx, 'email_accounts', id, { status: 'active', pausedReason: null, pausedAt: null, reviewedAt: at })
    await release(tx, before, { at, requestId: context.requestId })
    await record({
      ...{ action: 'emailAccount.reactivate', resourceType: 'EmailAccount', resourceId: id },
      oldValues: { status: before.status, pausedReason: before.pausedReason },
      newValues: { status: 'active' },
      ...(note !== null && { notes: note }),
    })
  })
  const mailbox = await context.loaders.emailAccounts.load(id)
  if (!mailbox) throw new AppError('NOT_FOUND', 'the mailbox is gone')
  return mailbox
}

/** What has waited for the mailbox is taken up again. */
async function release(tx: Queryable, { id, domainId }: Locked, { at, requestId }: { at: Date; requestId: string }) {
  const { rows: campaigns } = await tx.query<{ id: string }>(CAMPAIGNS, [currentTenant(), domainId])
  const ids = campaigns.map((campaign) => campaign.id)
  wakeCampaigns(tx, ids, at)
  type Released = Parameters<typeof mailDue>[0]
  const { rows: released } = await tx.query<Released>(RELEASE, [currentTenant(), id, at])
  await appendOutbox(
    tx,
    released.map((mail) => mailDue(mail, requestId)),
  )
}
