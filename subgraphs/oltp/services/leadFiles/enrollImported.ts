import { now } from '#platform/clock.ts'
import type { Queryable } from '#platform/database/tenantPool.ts'
import { wakeCampaign } from '../sending/agenda.ts'
import { enrollLeads } from '../sending/enroll.ts'
import { lockRow } from '../tenantRows.ts'
import { FileProblem } from './fileProblem.ts'

/** The campaign that an import's leads join. */
export type CampaignState = { id: string; companyId: string; isSending: boolean }

/**
 * The campaign, held as it is until the transaction ends.
 * @throws FileProblem when it was deleted or has ended
 */
export async function findCampaignState(tx: Queryable, id: string): Promise<CampaignState> {
  type Row = { companyId: string; status: string }
  const campaign = await lockRow<Row>(tx, 'campaigns', id, ['companyId', 'status'])
  if (!campaign || campaign.status === 'completed' || campaign.status === 'cancelled') {
    throw new FileProblem('campaign_ended', 'the campaign that the leads were to join has ended')
  }
  return { id, companyId: campaign.companyId, isSending: campaign.status === 'sending' }
}

/** Puts leads into the campaign; if it sends, their first step is due at once. In a transaction of `transact`. */
export async function enrollImported(tx: Queryable, campaign: CampaignState, leadIds: readonly string[]) {
  if (leadIds.length === 0) return
  const at = now()
  const { enrolled } = await enrollLeads(tx, campaign.id, leadIds, { dueAt: campaign.isSending ? at : null, at })
  if (enrolled > 0 && campaign.isSending) wakeCampaign(tx, campaign.id, at)
}
