import type { CampaignActionInput, PreflightFindingCode, ScheduleCampaignInput } from '#graphql/oltp'
import { now } from '#platform/clock.ts'
import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { readId } from '#platform/graph/ids.ts'
import type { Context } from '../../context.ts'
import { type Act, changeAudited } from '../changes.ts'
import { findPreflight } from '../preflight/preflight.ts'
import { requireClear } from '../preflight/preflightFindings.ts'
import type { CampaignRow } from '../rows.ts'
import { setPlanTime, wakeCampaign } from '../sending/agenda.ts'
import { startEnrollments } from '../sending/enroll.ts'
import { failQueued } from '../sending/failQueued.ts'
import { updateRow } from '../tenantRows.ts'
import { readOptionalText } from '../texts.ts'
import { getCampaign, type LockedCampaign, lockCampaign } from './campaignChanges.ts'
import { enrollSelection } from './campaignLeads.ts'

const MAX_REASON_LENGTH = 500

/** A year: whoever plans further ahead has mistyped. */
const LONGEST_NOTICE_MS = 366 * 86_400_000

/** How often a campaign that is edited while it is looked over is looked over again. */
const MAX_LOOKS = 3

// Whoever changes or deletes one of them either comes first, or finds the campaign launched.
const HOLD_PARTS = `
  SELECT FROM templates t WHERE t.tenant_id = $1 AND t.deleted_at IS NULL AND t.id IN (
    SELECT s.template_id FROM campaign_sequence_steps s
    WHERE s.tenant_id = $1 AND s.campaign_id = $2 AND s.deleted_at IS NULL) ORDER BY t.id FOR SHARE`

const STOP_ENROLLMENTS = `
  WITH active AS (
    SELECT id FROM campaign_enrollments WHERE tenant_id = $1 AND campaign_id = $2 AND status = 'active'
    ORDER BY id FOR NO KEY UPDATE
  )
  UPDATE campaign_enrollments e SET status = 'stopped', stop_reason = 'campaign_cancelled', ended_at = $3,
    next_run_at = NULL, version = e.version + 1
  FROM active WHERE e.tenant_id = $1 AND e.id = active.id AND e.status = 'active'`

/**
 * Launches a draft or scheduled campaign for the leads added before. Of several who do it at once one does; it is a
 * conflict for the others.
 * @throws AppError NOT_FOUND; CONFLICT unless it is a draft or scheduled; INVALID_INPUT or LIMIT_REACHED, with the findings
 *         in its extensions, for what `campaignPreflight` calls a blocker
 */
export async function launchCampaign(context: Context, input: CampaignActionInput): Promise<CampaignRow> {
  const id = readAction(input)
  await requireState(context, id, LAUNCHABLE)
  return startSending(context, id, { from: LAUNCHABLE, action: 'campaign.launch' })
}

/**
 * Has a paused campaign go on, with the leads and steps that were added meanwhile.
 * @throws AppError NOT_FOUND; CONFLICT unless it is paused; INVALID_INPUT or LIMIT_REACHED as `launchCampaign`
 */
export async function resumeCampaign(context: Context, input: CampaignActionInput): Promise<CampaignRow> {
  const id = readAction(input)
  await requireState(context, id, ['paused'])
  // One whose leads have all left meanwhile ends by going on.
  return startSending(context, id, { from: ['paused'], action: 'campaign.resume', tolerated: ['no_leads'] })
}

/**
 * Has a campaign be launched at a time, or, without one, makes it a draft again.
 * @throws AppError NOT_FOUND; CONFLICT unless it is a draft or scheduled; INVALID_INPUT for a time that is not within the
 *         next year, and as `launchCampaign`
 */
export async function scheduleCampaign(context: Context, input: ScheduleCampaignInput): Promise<CampaignRow> {
  const id = readId(input.campaignId, 'campaignId')
  const at = input.scheduledAt ?? null
  const notice = at && at.getTime() - now().getTime()
  if (notice !== null && (notice <= 0 || notice > LONGEST_NOTICE_MS)) {
    throw new AppError('INVALID_INPUT', 'scheduledAt: is not within the next year')
  }
  await requireState(context, id, LAUNCHABLE)
  if (input.leadIds?.length || input.filter) await enrollSelection(context, id, input)
  const looked = at ? await lookOver(context, id) : null
  await changeAudited(context, async (tx, record) => {
    const before = await lockInState(tx, id, LAUNCHABLE)
    if (looked !== null && before.version !== looked) throw new AppError('CONFLICT', 'the campaign was just edited')
    const scheduled = { status: at ? 'scheduled' : 'draft', scheduledAt: at }
    await updateRow(tx, 'campaigns', id, { ...scheduled, version: before.version + 1 })
    setPlanTime(tx, id, at)
    await record(stateChange('campaign.schedule', before, { status: scheduled.status, scheduledAt: at }))
  })
  return getCampaign(context, id)
}

/**
 * Pauses a campaign that sends: nothing is planned any more, and what is queued waits.
 * @throws AppError NOT_FOUND; CONFLICT unless it sends; INVALID_INPUT
 */
export async function pauseCampaign(context: Context, input: CampaignActionInput): Promise<CampaignRow> {
  const id = readId(input.id, 'id')
  const reason = readOptionalText(input.reason, 'reason', MAX_REASON_LENGTH)
  await changeAudited(context, async (tx, record) => {
    const before = await lockInState(tx, id, ['sending'])
    const paused = { status: 'paused', pausedReason: reason ?? 'paused by a person', pausedAt: now() }
    await updateRow(tx, 'campaigns', id, { ...paused, version: before.version + 1 })
    setPlanTime(tx, id, null)
    await record(stateChange('campaign.pause', before, { status: 'paused', pausedReason: paused.pausedReason }))
  })
  return getCampaign(context, id)
}

/**
 * Ends a campaign for good: its leads leave it, and what is queued does not go out.
 * @throws AppError NOT_FOUND; CONFLICT for one that has ended
 */
export async function cancelCampaign(context: Context, input: CampaignActionInput): Promise<CampaignRow> {
  const id = readAction(input)
  await changeAudited(context, async (tx, record) => {
    const before = await lockInState(tx, id, ['draft', 'scheduled', 'sending', 'paused'])
    await updateRow(tx, 'campaigns', id, { status: 'cancelled', version: before.version + 1 })
    const at = now()
    const failed = await failQueued(tx, 'campaign', { ids: [id], reason: 'campaign_cancelled', at })
    const { rowCount: stopped } = await tx.query(STOP_ENROLLMENTS, [currentTenant(), id, at])
    setPlanTime(tx, id, null)
    await record(stateChange('campaign.cancel', before, { status: 'cancelled', stopped, failed: failed.length }))
  })
  return getCampaign(context, id)
}

/** The campaign's id. A reason that nobody would read is refused. */
function readAction({ id, reason }: CampaignActionInput): string {
  if (reason != null) throw new AppError('INVALID_INPUT', 'reason: is for pausing')
  return readId(id, 'id')
}

const LAUNCHABLE = ['draft', 'scheduled']

type Start = { from: readonly string[]; action: string; tolerated?: readonly PreflightFindingCode[] }

/** Looks the campaign over and, if nobody has edited it meanwhile, sets it going in one transaction. */
async function startSending(context: Context, id: string, { from, action, tolerated }: Start): Promise<CampaignRow> {
  for (let look = 1; ; look += 1) {
    const version = await lookOver(context, id, tolerated)
    const isStarted = await changeAudited(context, async (tx, record) => {
      const before = await lockInState(tx, id, from)
      if (before.version !== version) return false
      await tx.query(HOLD_PARTS, [currentTenant(), id])
      const at = now()
      await updateRow(tx, 'campaigns', id, {
        ...{ status: 'sending', startedAt: before.startedAt ?? at, pausedReason: null, pausedAt: null },
        // What came back before it was let go on counts no more against it.
        reviewedAt: at,
        version: before.version + 1,
      })
      const started = await startEnrollments(tx, id, at)
      wakeCampaign(tx, id, at)
      await record(stateChange(action, before, { status: 'sending', startedLeads: started }))
      return true
    })
    if (isStarted) return getCampaign(context, id)
    if (look === MAX_LOOKS) throw new AppError('CONFLICT', 'the campaign is being edited')
  }
}

/**
 * Refuses what the preflight refuses; answers the version that was looked at.
 * @throws AppError NOT_FOUND; INVALID_INPUT; LIMIT_REACHED
 */
async function lookOver({ db, loaders }: Context, id: string, tolerated?: Start['tolerated']): Promise<number> {
  const campaign = await loaders.campaigns.clear(id).load(id)
  const preflight = campaign && (await findPreflight(db, id))
  if (!preflight) throw new AppError('NOT_FOUND', 'campaignId: there is no such campaign')
  requireClear(preflight.findings, tolerated)
  return campaign.version
}

/** Says early what `lockInState` would say in the end. */
async function requireState({ loaders }: Context, id: string, states: readonly string[]): Promise<void> {
  const campaign = await loaders.campaigns.clear(id).load(id)
  if (!campaign) throw new AppError('NOT_FOUND', 'campaignId: there is no such campaign')
  checkState(campaign, states)
}

async function lockInState(tx: Queryable, id: string, states: readonly string[]): Promise<LockedCampaign> {
  const campaign = await lockCampaign(tx, id)
  checkState(campaign, states)
  return campaign
}

function checkState({ status, archivedAt }: Pick<CampaignRow, 'status' | 'archivedAt'>, states: readonly string[]) {
  if (!states.includes(status)) throw new AppError('CONFLICT', `the campaign is ${status}`)
  if (archivedAt) throw new AppError('CONFLICT', 'the campaign is archived')
}

function stateChange(action: string, { id, status }: LockedCampaign, newValues: Record<string, unknown>): Act {
  return { action, resourceType: 'Campaign', resourceId: id, oldValues: { status }, newValues }
}
