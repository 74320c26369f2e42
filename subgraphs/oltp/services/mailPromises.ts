import type { Queryable } from '#platform/database/tenantPool.ts'
import { type BudgetChange, changeBudgets, lockBudgets } from './sending/budgets.ts'
import { budgetKeys, findCampaignFacts, findSendingMailboxes } from './sending/campaignFacts.ts'

/** A mail that was queued, and failed before it left. */
export type FailedMail = { campaignId: string | null; emailAccountId: string; scheduledAt: Date | string | null }

/** For the RETURNING of what fails mails `r`. */
export const FAILED_MAIL = `r.campaign_id AS "campaignId", r.email_account_id AS "emailAccountId", r.scheduled_at AS "scheduledAt"`

/**
 * Gives back what of mailboxes', domains', campaigns' and plans' days was promised to mails that will not leave, in the
 * transaction that fails them and in a fixed number of statements. What addresses were promised is theirs again tomorrow.
 */
export async function giveBackPromises(tx: Queryable, mails: readonly FailedMail[]): Promise<void> {
  const planned = mails.filter(({ scheduledAt }) => scheduledAt !== null)
  if (planned.length === 0) return
  const campaignIds = [...new Set(planned.flatMap(({ campaignId }) => campaignId ?? []))]
  // One after the other: a transaction has one connection.
  const campaigns = await findCampaignFacts(tx, campaignIds)
  const mailboxes = await findSendingMailboxes(tx, [...new Set(planned.map(({ emailAccountId }) => emailAccountId))])
  const changes = planned.flatMap(({ campaignId, emailAccountId, scheduledAt }): BudgetChange[] => {
    const mailbox = mailboxes.get(emailAccountId)
    if (!mailbox) return []
    const day = new Date(scheduledAt as Date | string)
    const keys = budgetKeys(campaigns.get(campaignId ?? '') ?? null, mailbox, day)
    return keys.map((key) => ({ ...key, reserved: -1, sent: 0 }))
  })
  await lockBudgets(tx, changes)
  await changeBudgets(tx, changes)
}
