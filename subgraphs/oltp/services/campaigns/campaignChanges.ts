import { v7 as uuidv7 } from 'uuid'
import type {
  ArchiveCampaignInput,
  CreateCampaignInput,
  DuplicateCampaignInput,
  UpdateCampaignInput,
} from '#graphql/oltp'
import { now } from '#platform/clock.ts'
import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { readId } from '#platform/graph/ids.ts'
import type { Context } from '../../context.ts'
import { changeAudited, createOnce, diff, pickGiven } from '../changes.ts'
import type { CampaignRow } from '../rows.ts'
import { lockRow, updateRow } from '../tenantRows.ts'
import { readText } from '../texts.ts'
import { type CampaignSettings, readSettings, SETTINGS } from './campaignSettings.ts'

/** What is asked of a campaign before it is changed. */
export type LockedCampaign = CampaignSettings &
  Pick<CampaignRow, 'id' | 'companyId' | 'status' | 'archivedAt' | 'scheduledAt' | 'startedAt' | 'version'>

const LOCKED = ['id', 'companyId', 'status', 'archivedAt', 'scheduledAt', 'startedAt', 'version', ...SETTINGS] as const

const INSERT_DRAFT = `
  INSERT INTO campaigns (tenant_id, id, company_id, name, description, daily_cap, sending_window, timezone)
  SELECT c.tenant_id, $2, c.id, $4, $5, $6, $7, $8 FROM companies c JOIN tenants t ON t.id = c.tenant_id
  WHERE c.tenant_id = $1 AND c.id = $3 AND c.deleted_at IS NULL AND t.deleted_at IS NULL`

const FIND_STEPS = `
  SELECT id FROM campaign_sequence_steps WHERE tenant_id = $1 AND campaign_id = $2 AND deleted_at IS NULL
  ORDER BY step_order`

const COPY_STEPS = `
  INSERT INTO campaign_sequence_steps (tenant_id, id, campaign_id, step_order, step_type, template_id, email_account_id,
    subject_override, wait_hours, condition, is_active)
  SELECT s.tenant_id, copy.id, $2, copy.step_order, s.step_type, s.template_id, s.email_account_id, s.subject_override,
    s.wait_hours, s.condition, s.is_active
  FROM unnest($3::uuid[], $4::uuid[]) WITH ORDINALITY AS copy (step_id, id, step_order)
  JOIN campaign_sequence_steps s ON s.tenant_id = $1 AND s.id = copy.step_id`

/**
 * Creates a draft and records who did. Repeating an `idempotencyKey` answers the first campaign again.
 * @throws AppError NOT_FOUND for an unknown company; INVALID_INPUT; CONFLICT for a key used with another input
 */
export async function createCampaign(context: Context, input: CreateCampaignInput): Promise<CampaignRow> {
  const companyId = readId(input.companyId, 'companyId')
  const settings = readSettings(input)
  const asked = { companyId, ...settings, idempotencyKey: input.idempotencyKey }
  const act = { action: 'campaign.create', resourceType: 'Campaign', input: asked }
  const id = await createOnce(context, act, async (tx, newId) => {
    await insertDraft(tx, newId, companyId, settings)
    return { companyId, ...settings, status: 'draft' }
  })
  return getCampaign(context, id)
}

/**
 * Changes what is given of a campaign's settings.
 * @throws AppError NOT_FOUND; INVALID_INPUT; CONFLICT while it sends or once it has ended
 */
export async function updateCampaign(context: Context, input: UpdateCampaignInput): Promise<CampaignRow> {
  const { campaignId, ...given } = input
  const id = readId(campaignId, 'campaignId')
  await changeAudited(context, async (tx, record) => {
    const before = await lockEditable(tx, id)
    const after = readSettings({ ...settingsOf(before), ...pickGiven(given) })
    await updateRow(tx, 'campaigns', id, { ...after, version: before.version + 1 })
    const { oldValues, newValues } = diff(settingsOf(before), after)
    await record({ action: 'campaign.update', resourceType: 'Campaign', resourceId: id, oldValues, newValues })
  })
  return getCampaign(context, id)
}

/**
 * Makes a draft with the settings and steps of another campaign, and none of its leads.
 * @throws AppError NOT_FOUND; INVALID_INPUT; CONFLICT for a key used with another input
 */
export async function duplicateCampaign(context: Context, input: DuplicateCampaignInput): Promise<CampaignRow> {
  const sourceId = readId(input.campaignId, 'campaignId')
  const name = input.name == null ? null : readText(input.name, 'name', 200)
  const asked = { sourceId, name, idempotencyKey: input.idempotencyKey }
  const act = { action: 'campaign.duplicate', resourceType: 'Campaign', input: asked }
  const id = await createOnce(context, act, async (tx, newId) => {
    const source = await lockCampaign(tx, sourceId)
    const copy = { ...settingsOf(source), name: name ?? `${source.name.slice(0, 193)} (copy)` }
    await insertDraft(tx, newId, source.companyId, copy)
    const { rows } = await tx.query<{ id: string }>(FIND_STEPS, [currentTenant(), sourceId])
    const stepIds = rows.map((step) => step.id)
    await tx.query(COPY_STEPS, [currentTenant(), newId, stepIds, stepIds.map(() => uuidv7())])
    return { duplicateOf: sourceId, name: copy.name, steps: stepIds.length }
  })
  return getCampaign(context, id)
}

/**
 * Puts a campaign away, or fetches it back; what is put away is neither changed nor launched.
 * @throws AppError NOT_FOUND; CONFLICT while it is scheduled or sends
 */
export async function archiveCampaign(context: Context, input: ArchiveCampaignInput): Promise<CampaignRow> {
  const id = readId(input.campaignId, 'campaignId')
  const isArchived = input.isArchived ?? true
  await changeAudited(context, async (tx, record) => {
    const before = await lockCampaign(tx, id)
    if (isArchived && ['scheduled', 'sending'].includes(before.status)) {
      throw new AppError('CONFLICT', `a campaign that is ${before.status} can't be archived`)
    }
    const archivedAt = isArchived ? (before.archivedAt ?? now()) : null
    await updateRow(tx, 'campaigns', id, { archivedAt, version: before.version + 1 })
    const action = isArchived ? 'campaign.archive' : 'campaign.unarchive'
    await record({ action, resourceType: 'Campaign', resourceId: id })
  })
  return getCampaign(context, id)
}

/**
 * A campaign, held until the transaction ends.
 * @throws AppError NOT_FOUND
 */
export async function lockCampaign(tx: Queryable, id: string): Promise<LockedCampaign> {
  const campaign = await lockRow<LockedCampaign>(tx, 'campaigns', id, LOCKED)
  if (!campaign) throw new AppError('NOT_FOUND', 'campaignId: there is no such campaign')
  return campaign
}

/**
 * A campaign that may be edited: a draft, scheduled or paused one that is not put away. Held until the transaction ends.
 * @throws AppError NOT_FOUND; CONFLICT
 */
export async function lockEditable(tx: Queryable, id: string): Promise<LockedCampaign> {
  const campaign = await lockCampaign(tx, id)
  requireEditable(campaign)
  return campaign
}

/** @throws AppError CONFLICT */
export function requireEditable({ status, archivedAt }: Pick<CampaignRow, 'status' | 'archivedAt'>): void {
  if (archivedAt) throw new AppError('CONFLICT', 'the campaign is archived')
  if (['draft', 'scheduled', 'paused'].includes(status)) return
  const why = status === 'sending' ? 'is sending: pause it first' : `is ${status}`
  throw new AppError('CONFLICT', `the campaign ${why}`)
}

/**
 * A campaign as it is now, whatever this request has read of it before.
 * @throws AppError NOT_FOUND
 */
export async function getCampaign({ loaders }: Context, id: string): Promise<CampaignRow> {
  loaders.stepsOfCampaign.clear(id)
  const campaign = await loaders.campaigns.clear(id).load(id)
  if (!campaign) throw new AppError('NOT_FOUND', 'the campaign is gone')
  return campaign
}

async function insertDraft(tx: Queryable, id: string, companyId: string, settings: CampaignSettings): Promise<void> {
  const { name, description, dailyCap, sendingWindow, timezone } = settings
  const window = sendingWindow && JSON.stringify(sendingWindow)
  const values = [currentTenant(), id, companyId, name, description, dailyCap, window, timezone]
  const { rowCount } = await tx.query(INSERT_DRAFT, values)
  if (rowCount === 0) throw new AppError('NOT_FOUND', 'companyId: there is no such company')
}

function settingsOf({ name, description, dailyCap, sendingWindow, timezone }: CampaignSettings): CampaignSettings {
  return { name, description, dailyCap, sendingWindow, timezone }
}
