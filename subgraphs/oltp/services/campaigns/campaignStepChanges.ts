import type {
  AddCampaignStepInput,
  DeleteCampaignStepInput,
  ReorderCampaignStepsInput,
  UpdateCampaignStepInput,
} from '#graphql/oltp'
import { now } from '#platform/clock.ts'
import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { readId } from '#platform/graph/ids.ts'
import type { Context } from '../../context.ts'
import { changeAudited, createOnce, diff, pickGiven } from '../changes.ts'
import type { StepRow } from '../rows.ts'
import { areLive, insertRow, lockRow, updateRow } from '../tenantRows.ts'
import { getCampaign, type LockedCampaign, lockEditable } from './campaignChanges.ts'
import { readStep, STEP_SETTINGS, type StepSettings } from './campaignStepInput.ts'
import { findStepOrder, renumberSteps } from './campaignStepOrder.ts'

const MAX_STEPS = 50

const CAMPAIGN_OF_STEP = `
  SELECT campaign_id AS "campaignId" FROM campaign_sequence_steps
  WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL`

// The mailbox's domain is the campaign's company's: companies don't write from each other's addresses.
const FIND_MAILBOX = `
  SELECT FROM email_accounts a JOIN domains d ON d.tenant_id = a.tenant_id AND d.id = a.domain_id
  WHERE a.tenant_id = $1 AND a.id = $2 AND d.company_id = $3 AND a.deleted_at IS NULL AND d.deleted_at IS NULL
  FOR SHARE OF a`

/**
 * Adds a step to a campaign, at its end unless a place is named.
 * @throws AppError NOT_FOUND for an unknown campaign, template or mailbox; INVALID_INPUT; LIMIT_REACHED above 50 steps;
 *         CONFLICT while the campaign sends, or for a key used with another input
 */
export async function addCampaignStep(context: Context, input: AddCampaignStepInput): Promise<StepRow> {
  const campaignId = readId(input.campaignId, 'campaignId')
  const { position, idempotencyKey } = input
  const settings = readStep(input)
  const asked = { campaignId, position: position ?? null, ...settings, idempotencyKey }
  const act = { action: 'campaignStep.add', resourceType: 'CampaignSequenceStep', input: asked }
  const id = await createOnce(context, act, async (tx, newId) => {
    const campaign = await lockEditable(tx, campaignId)
    await requireParts(tx, campaign, settings)
    const before = await findStepOrder(tx, campaignId)
    if (before.length >= MAX_STEPS) throw new AppError('LIMIT_REACHED', `a campaign has at most ${MAX_STEPS} steps`)
    const place = readPlace(position, before.length)
    const last = before.at(-1)?.stepOrder ?? 0
    await insertRow(tx, 'campaign_sequence_steps', { id: newId, campaignId, stepOrder: last + 1, ...settings })
    const stepIds = before.map((step) => step.id)
    stepIds.splice(place - 1, 0, newId)
    if (place <= before.length) await renumberSteps(tx, campaignId, stepIds, before)
    await bumpVersion(tx, campaign)
    return { campaignId, stepOrder: place, ...settings }
  })
  return getStep(context, id)
}

/**
 * Changes what is given of a step.
 * @throws AppError NOT_FOUND for an unknown step, template or mailbox; INVALID_INPUT; CONFLICT while the campaign sends
 */
export async function updateCampaignStep(context: Context, input: UpdateCampaignStepInput): Promise<StepRow> {
  const { stepId, ...given } = input
  const id = readId(stepId, 'stepId')
  await changeAudited(context, async (tx, record) => {
    const { campaign, step } = await lockStep(tx, id)
    const after = readStep({ ...step, ...pickGiven(given) })
    await requireParts(tx, campaign, after)
    await updateRow(tx, 'campaign_sequence_steps', id, after)
    await bumpVersion(tx, campaign)
    const { oldValues, newValues } = diff(step, after)
    const resource = { resourceType: 'CampaignSequenceStep', resourceId: id }
    await record({ action: 'campaignStep.update', ...resource, oldValues, newValues })
  })
  return getStep(context, id)
}

/**
 * Puts a campaign's steps in another order.
 * @throws AppError NOT_FOUND for a step that is none of the campaign's; INVALID_INPUT unless each of its steps is named
 *         once; CONFLICT while the campaign sends
 */
export async function reorderCampaignSteps(context: Context, input: ReorderCampaignStepsInput) {
  const campaignId = readId(input.campaignId, 'campaignId')
  const stepIds = input.stepIds.map((id) => readId(id, 'stepIds'))
  await changeAudited(context, async (tx, record) => {
    const campaign = await lockEditable(tx, campaignId)
    const before = await findStepOrder(tx, campaignId)
    const own = new Set(before.map(({ id }) => id))
    if (stepIds.some((id) => !own.has(id))) throw new AppError('NOT_FOUND', 'stepIds: there is no such step')
    // A step that came twice would be a way back to itself.
    if (new Set(stepIds).size !== stepIds.length) throw new AppError('INVALID_INPUT', 'stepIds: a step is named twice')
    if (stepIds.length !== own.size) throw new AppError('INVALID_INPUT', 'stepIds: some of the steps are missing')
    await renumberSteps(tx, campaignId, stepIds, before)
    await bumpVersion(tx, campaign)
    const oldValues = { stepIds: before.map(({ id }) => id) }
    const resource = { resourceType: 'Campaign', resourceId: campaignId }
    await record({ action: 'campaign.reorderSteps', ...resource, oldValues, newValues: { stepIds } })
  })
  return getCampaign(context, campaignId)
}

/**
 * Deletes a step; those behind it move up.
 * @throws AppError NOT_FOUND; CONFLICT while the campaign sends
 */
export async function deleteCampaignStep(context: Context, input: DeleteCampaignStepInput) {
  const id = readId(input.stepId, 'stepId')
  const campaignId = await changeAudited(context, async (tx, record) => {
    const { campaign } = await lockStep(tx, id)
    const before = await findStepOrder(tx, campaign.id)
    await updateRow(tx, 'campaign_sequence_steps', id, { deletedAt: now() })
    const rest = before.map((step) => step.id).filter((stepId) => stepId !== id)
    await renumberSteps(tx, campaign.id, rest, before)
    await bumpVersion(tx, campaign)
    await record({ action: 'campaignStep.delete', resourceType: 'CampaignSequenceStep', resourceId: id })
    return campaign.id
  })
  context.loaders.steps.clear(id)
  return getCampaign(context, campaignId)
}

/** Whoever launches a campaign names the version that was looked over. */
async function bumpVersion(tx: Queryable, { id, version }: LockedCampaign): Promise<void> {
  await updateRow(tx, 'campaigns', id, { version: version + 1 })
}

/** A step with its campaign, which is held first, as everywhere. */
async function lockStep(tx: Queryable, id: string): Promise<{ campaign: LockedCampaign; step: StepSettings }> {
  const { rows } = await tx.query<{ campaignId: string }>(CAMPAIGN_OF_STEP, [currentTenant(), id])
  const campaign = rows[0] && (await lockEditable(tx, rows[0].campaignId))
  const step = campaign && (await lockRow<StepSettings>(tx, 'campaign_sequence_steps', id, STEP_SETTINGS))
  if (!step) throw new AppError('NOT_FOUND', 'stepId: there is no such step')
  return { campaign, step }
}

async function requireParts(tx: Queryable, { companyId }: LockedCampaign, step: StepSettings): Promise<void> {
  const { templateId, emailAccountId } = step
  if (templateId && !(await areLive(tx, 'templates', [templateId]))) {
    throw new AppError('NOT_FOUND', 'templateId: there is no such template')
  }
  if (!emailAccountId) return
  const { rows } = await tx.query(FIND_MAILBOX, [currentTenant(), emailAccountId, companyId])
  if (rows.length === 0) {
    throw new AppError('NOT_FOUND', "emailAccountId: there is no such mailbox in the campaign's company")
  }
}

function readPlace(position: number | null | undefined, count: number): number {
  if (position == null) return count + 1
  if (position < 1 || position > count + 1) {
    throw new AppError('INVALID_INPUT', `position: must be between 1 and ${count + 1}`)
  }
  return position
}

async function getStep({ loaders }: Context, id: string): Promise<StepRow> {
  const step = await loaders.steps.clear(id).load(id)
  if (!step) throw new AppError('NOT_FOUND', 'the step is gone')
  loaders.stepsOfCampaign.clear(step.campaignId)
  loaders.campaigns.clear(step.campaignId)
  return step
}
