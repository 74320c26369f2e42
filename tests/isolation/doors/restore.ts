import type { Plan } from './seedTenant.ts'
import type { Owners } from './tenantRows.ts'

/** Makes the campaign, its step and lead, the template, mailbox and domain what they were, whatever was done to them. */
export async function restoreWorkspace({ oltp }: Owners, plan: Plan, status: 'draft' | 'paused'): Promise<void> {
  const { tenantId, campaignId, stepId, leadId, enrollmentId, templateId, mailboxId } = plan
  const restore = (text: string, ...values: unknown[]) => oltp.query(text, [tenantId, ...values])
  for (const table of ['leads', 'templates', 'domains', 'email_accounts', 'companies']) {
    await restore(`UPDATE ${table} SET deleted_at = NULL WHERE tenant_id = $1 AND deleted_at IS NOT NULL`)
  }
  await restore(
    `UPDATE campaigns SET status = $3, archived_at = NULL, scheduled_at = NULL
     WHERE tenant_id = $1 AND id = $2`,
    campaignId,
    status,
  )
  await restore(
    'DELETE FROM campaign_sequence_steps WHERE tenant_id = $1 AND campaign_id = $2 AND id <> $3',
    campaignId,
    stepId,
  )
  await restore(
    `UPDATE campaign_sequence_steps SET deleted_at = NULL, step_order = 1, step_type = 'email', template_id = $3,
       email_account_id = $4 WHERE tenant_id = $1 AND id = $2`,
    stepId,
    templateId,
    mailboxId,
  )
  await restore(`UPDATE leads SET status = 'new', unsubscribed_at = NULL WHERE tenant_id = $1 AND id = $2`, leadId)
  await restore(`DELETE FROM suppressions WHERE tenant_id = $1 AND reason = 'unsubscribe'`)
  await restore(`UPDATE email_accounts SET status = 'active' WHERE tenant_id = $1 AND id = $2`, mailboxId)
  await restore(
    `INSERT INTO campaign_enrollments (tenant_id, id, campaign_id, lead_id) VALUES ($1, $2, $3, $4)
     ON CONFLICT (tenant_id, id) DO UPDATE SET status = 'active', stop_reason = NULL, ended_at = NULL`,
    enrollmentId,
    campaignId,
    leadId,
  )
}
