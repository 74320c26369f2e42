import type { Database } from '../../database.ts'
import type { StepRow } from '../rows.ts'

/** The steps of each campaign, in their order. */
export async function batchStepsOfCampaigns(db: Database, campaignIds: readonly string[]): Promise<StepRow[][]> {
  const steps = await db.tenant.campaignSequenceStep.findMany({
    where: { campaignId: { in: [...campaignIds] }, deletedAt: null },
    orderBy: [{ campaignId: 'asc' }, { stepOrder: 'asc' }],
  })
  return campaignIds.map((id) => steps.filter((step) => step.campaignId === id))
}

/** The steps that send each template, oldest first. */
export async function batchStepsOfTemplates(db: Database, templateIds: readonly string[]): Promise<StepRow[][]> {
  const steps = await db.tenant.campaignSequenceStep.findMany({
    where: { templateId: { in: [...templateIds] }, deletedAt: null, campaign: { deletedAt: null } },
    orderBy: [{ createdAt: 'asc' }, { id: 'asc' }],
  })
  return templateIds.map((id) => steps.filter((step) => step.templateId === id))
}
