import type { CreateLeadInput, DeleteLeadInput, UnsubscribeLeadInput, UpdateLeadInput } from '#graphql/oltp'
import { now } from '#platform/clock.ts'
import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { readId } from '#platform/graph/ids.ts'
import type { Context } from '../../context.ts'
import { changeAudited, createOnce, diff, pickGiven } from '../changes.ts'
import { requireRoom } from '../plans/planLimits.ts'
import type { LeadRow } from '../rows.ts'
import { failQueued } from '../sending/failQueued.ts'
import { holdLeads } from '../sending/holdLeads.ts'
import { planLeadAgain } from '../sending/planAgain.ts'
import { insertRow, isTaken, lockRow, updateRow } from '../tenantRows.ts'
import { type LeadValues, readLead } from './leadInput.ts'
import { suppress } from './suppressions.ts'
import { announceUnsubscribed } from './unsubscribedMail.ts'

// The audit log is kept for ever, so it is told which lead and which of its fields, never what they say.

const FIELDS = ['email', 'name', 'company', 'title', 'custom'] as const

const STOP = `
  UPDATE campaign_enrollments
  SET status = 'stopped', stop_reason = 'lead_deleted', ended_at = $3, next_run_at = NULL, version = version + 1
  WHERE tenant_id = $1 AND lead_id = $2 AND status = 'active'`

// That mail came back says something of an address, not of who has another one now. An unsubscribe is the person's own.
const FORGET_BOUNCE = `
  UPDATE leads l
  SET status = CASE WHEN sent.replied THEN 'replied' WHEN sent.mails > 0 THEN 'contacted' ELSE 'new' END
  FROM (SELECT count(*) AS mails, coalesce(bool_or(r.replied_at IS NOT NULL), false) AS replied
        FROM inbox_message_refs r
        WHERE r.tenant_id = $1 AND r.lead_id = $2 AND r.direction = 'outbound' AND r.sent_at IS NOT NULL) AS sent
  WHERE l.tenant_id = $1 AND l.id = $2 AND l.status = 'bounced' AND NOT EXISTS (
    SELECT FROM suppressions s WHERE s.tenant_id = $1 AND s.email = l.email AND s.company_id IS NULL)`

/**
 * Creates a lead.
 * @throws AppError INVALID_INPUT; LIMIT_REACHED by the plan; CONFLICT for an address that a lead has, or a key used with
 *         another input
 */
export async function createLead(context: Context, input: CreateLeadInput): Promise<LeadRow> {
  const values = readLead(input)
  const asked = { ...values, idempotencyKey: input.idempotencyKey }
  const act = { action: 'lead.create', resourceType: 'Lead', input: asked }
  const id = await createOnce(context, act, async (tx, newId) => {
    await requireRoom(tx, 'leads')
    if ((await insertRow(tx, 'leads', { id: newId, ...values })) === 0) throw emailIsTaken()
    return { fields: Object.keys(values.custom) }
  })
  return getLead(context, id)
}

/**
 * Changes what is given of a lead; custom fields are replaced as a whole. Mail that waits to leave for an address that it
 * has no more is written anew, to the one it has now. A lead whose address bounced is one like others again with another
 * one; the old address stays suppressed.
 * @throws AppError NOT_FOUND; INVALID_INPUT; CONFLICT for an address that another lead has
 */
export async function updateLead(context: Context, input: UpdateLeadInput): Promise<LeadRow> {
  const { leadId, ...given } = input
  const id = readId(leadId, 'leadId')
  await changeAudited(context, async (tx, record) => {
    // Mail and enrollments before the lead: the order in which sending takes them.
    if (given.email != null) await holdLeads(tx, { leadIds: [id] })
    const before = await lockLead(tx, id)
    const after = readLead({ ...before, ...pickGiven(given) })
    await updateRow(tx, 'leads', id, after).catch((error: unknown) => {
      throw isTaken(error) ? emailIsTaken() : error
    })
    const { names: changed } = diff(before, after)
    if (changed.includes('email')) await tx.query(FORGET_BOUNCE, [currentTenant(), id])
    const anew = { reason: 'address_changed', at: now() }
    const plannedAgain = changed.includes('email') ? await planLeadAgain(tx, id, anew) : 0
    const newValues = { changed, ...(plannedAgain > 0 && { plannedAgain }) }
    await record({ action: 'lead.update', resourceType: 'Lead', resourceId: id, newValues })
  })
  return getLead(context, id)
}

/**
 * Deletes a lead: it leaves its campaigns, and its queued mail does not go out.
 * @throws AppError NOT_FOUND
 */
export async function deleteLead(context: Context, { leadId }: DeleteLeadInput): Promise<string> {
  const id = readId(leadId, 'leadId')
  await changeAudited(context, async (tx, record) => {
    await holdLeads(tx, { leadIds: [id] })
    await lockLead(tx, id)
    const at = now()
    await failQueued(tx, 'lead', { ids: [id], reason: 'lead_deleted', at })
    await tx.query(STOP, [currentTenant(), id, at])
    await updateRow(tx, 'leads', id, { deletedAt: at })
    await record({ action: 'lead.delete', resourceType: 'Lead', resourceId: id })
  })
  context.loaders.leads.clear(id)
  return id
}

/**
 * Unsubscribes a lead who asked for it by another way than a link: suppressed for the whole tenant, out of its campaigns,
 * and its queued mail does not go out. It counts as one by a link does. A repeat changes nothing.
 * @throws AppError NOT_FOUND
 */
export async function unsubscribeLead(context: Context, { leadId }: UnsubscribeLeadInput): Promise<LeadRow> {
  const id = readId(leadId, 'leadId')
  await changeAudited(context, async (tx, record) => {
    const at = now()
    await announceUnsubscribed(tx, { leadId: id, at, requestId: context.requestId })
    const { email } = await lockLead(tx, id)
    const { stopped, failed } = await suppress(tx, [{ email, reason: 'unsubscribe', at }])
    await record({
      action: 'lead.unsubscribe',
      resourceType: 'Lead',
      resourceId: id,
      newValues: { stoppedEnrollments: stopped, failedMails: failed },
    })
  })
  return getLead(context, id)
}

async function lockLead(tx: Queryable, id: string): Promise<LeadValues> {
  const lead = await lockRow<LeadValues>(tx, 'leads', id, FIELDS)
  if (!lead) throw new AppError('NOT_FOUND', 'leadId: there is no such lead')
  return lead
}

async function getLead({ loaders }: Context, id: string): Promise<LeadRow> {
  const lead = await loaders.leads.clear(id).load(id)
  if (!lead) throw new AppError('NOT_FOUND', 'the lead is gone')
  return lead
}

function emailIsTaken(): AppError {
  return new AppError('CONFLICT', 'email: there is a lead with this address')
}
