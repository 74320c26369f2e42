import { now } from '#platform/clock.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { isUuid } from '#platform/graph/ids.ts'
import type { Context } from '../../context.ts'
import { localDay } from '../mailFlow/localDay.ts'
import { periodAt } from '../plans/planPeriod.ts'
import { findAddressLoads } from './addressLoads.ts'
import { allocate } from './allocate.ts'
import { findSendFacts } from './begin.ts'
import { findBudgets } from './budgets.ts'
import {
  budgetKeys,
  type CampaignFacts,
  findCampaignFacts,
  findCompanyMailboxes,
  findPlannedSteps,
} from './campaignFacts.ts'
import { decideSend, type HoldReason } from './decideSend.ts'
import { type DueEnrollment, findEarlierMails } from './dueEnrollments.ts'
import { findLeavingMails } from './leavingMails.ts'
import type { Limit } from './limits.ts'
import { decideDue } from './planBatch.ts'
import { makeRooms } from './rooms.ts'
import { isSuppressed } from './suppressed.ts'
import { nextOpenSpan, planningSpan } from './window.ts'

export type SendLimit =
  | Limit
  | 'ended'
  | 'suppressed'
  | 'condition'
  | 'campaign_not_sending'
  | 'step_wait'
  | 'slot'
  | 'in_progress'

/** Whether a mail could leave, or a lead's next mail be planned, right now; if not, what stops it and until when. */
export type SendDecision = {
  isAllowed: boolean
  limit: SendLimit | null
  explanation: string
  earliestAt: Date | null
}

/**
 * Why a mail, or a lead's next mail, is not going out now. Null for what the tenant does not have, or for nothing.
 * @throws AppError INVALID_INPUT when both are named
 */
export async function findSendDecision(
  context: Context,
  { messageId, enrollmentId }: { messageId?: string | null; enrollmentId?: string | null },
): Promise<SendDecision | null> {
  if (messageId != null && enrollmentId != null) {
    throw new AppError('INVALID_INPUT', 'name a message or an enrollment, not both')
  }
  const at = now()
  if (messageId != null) return isUuid(messageId) ? decideMessage(context, messageId.toLowerCase(), at) : null
  return isUuid(enrollmentId) ? decideEnrollment(context, enrollmentId.toLowerCase(), at) : null
}

const stopped = (limit: SendLimit, explanation: string, earliestAt: Date | null = null): SendDecision => {
  return { isAllowed: false, limit, explanation, earliestAt }
}

async function decideMessage({ db }: Context, id: string, at: Date): Promise<SendDecision | null> {
  const [facts] = await findSendFacts(db.tenantSql, await findLeavingMails(db.tenantSql, [id]))
  if (!facts) return null
  const { mail, campaign, mailbox } = facts
  if (mail.status === 'sending') return stopped('in_progress', 'It is being sent just now.')
  const verdict = decideSend(facts, at, false)
  if (verdict.kind === 'drop') {
    const limit =
      verdict.reason === 'suppressed' ? 'suppressed' : verdict.reason.startsWith('condition') ? 'condition' : 'ended'
    return stopped(limit, `It will not leave: ${verdict.reason}.`)
  }
  if (verdict.kind === 'hold')
    return describeHold(verdict.reason, { at, campaign, mailbox, scheduledAt: mail.scheduledAt })
  if (verdict.kind === 'send') return { isAllowed: true, limit: null, explanation: 'It leaves now.', earliestAt: at }
  const why = mail.failureReason ? ` ${mail.failureReason}` : ''
  return stopped('ended', `There is nothing more to send: it is ${mail.status}.${why}`)
}

type HoldParts = {
  at: Date
  campaign: CampaignFacts | null
  mailbox: { email: string; pausedReason: string | null } | null
  scheduledAt: Date | null
}

function describeHold(reason: HoldReason, { at, campaign, mailbox, scheduledAt }: HoldParts): SendDecision {
  const opensAt = campaign && (nextOpenSpan(campaign.window, campaign.timezones.campaign, at)?.from ?? null)
  switch (reason) {
    case 'campaign_not_sending':
      return notSending(campaign)
    case 'mailbox_paused':
      return stopped(
        'mailbox_paused',
        `${mailbox?.email ?? 'Its mailbox'} does not send: ${mailbox?.pausedReason ?? 'it is not active'}.`,
      )
    case 'not_yet':
      return stopped('slot', "Its turn comes later: the campaign's mails are spread over the day.", scheduledAt)
    case 'window':
      return stopped('window', 'The sending window is closed.', opensAt)
    case 'day_full':
      return stopped('mailbox_cap', LIMIT_WORDS.mailbox_cap, opensAt)
    case 'address_stopped':
      return stopped('address_cap', 'The address that its mailbox leaves from is taken out of use.')
    case 'address_changed':
      return stopped('slot', 'Its mailbox leaves by another address now: it gets a new time at once.')
    case 'day_passed':
      return stopped(
        'window',
        'The day it was planned for is over: it gets a new time when the window is open.',
        opensAt,
      )
  }
}

function notSending(campaign: CampaignFacts | null): SendDecision {
  const why = campaign?.pausedReason ? `: ${campaign.pausedReason}` : ''
  const earliest = campaign?.status === 'scheduled' ? campaign.scheduledAt : null
  return stopped('campaign_not_sending', `The campaign is ${campaign?.status ?? 'gone'}${why}.`, earliest)
}

const ENROLLMENT = `
  SELECT e.id, e.version, e.status, e.stop_reason AS "stopReason", e.campaign_id AS "campaignId",
    e.current_step_order AS "currentStepOrder", e.next_run_at AS "nextRunAt", e.email_account_id AS "emailAccountId",
    e.created_at AS "createdAt", l.id AS "leadId",
    jsonb_build_object('email', l.email, 'status', l.status, 'isDeleted', l.deleted_at IS NOT NULL,
      'isSuppressed', ${isSuppressed('l', 'c.company_id')}) AS lead
  FROM campaign_enrollments e
  JOIN leads l ON l.tenant_id = e.tenant_id AND l.id = e.lead_id
  JOIN campaigns c ON c.tenant_id = e.tenant_id AND c.id = e.campaign_id
  WHERE e.tenant_id = $1 AND e.id = $2`

type EnrollmentRow = DueEnrollment & { status: string; stopReason: string | null; campaignId: string }

async function decideEnrollment(context: Context, id: string, at: Date): Promise<SendDecision | null> {
  const { db } = context
  const { rows } = await db.tenantSql.query<EnrollmentRow>(ENROLLMENT, [currentTenant(), id])
  const [enrollment] = rows
  if (!enrollment) return null
  if (enrollment.status !== 'active') {
    return stopped(
      'ended',
      `The lead's way through the campaign has ended: ${enrollment.stopReason ?? enrollment.status}.`,
    )
  }
  const [campaign] = (await findCampaignFacts(db.tenantSql, [enrollment.campaignId])).values()
  if (campaign?.status !== 'sending') return notSending(campaign ?? null)
  const earlier = await findEarlierMails(db.tenantSql, [id])
  const waiting = earlier.get(id)?.find(({ status }) => status === 'queued' || status === 'sending')
  if (waiting) return decideMessage(context, waiting.id, at)

  const steps = (await findPlannedSteps(db.tenantSql, [campaign.id])).get(campaign.id) ?? []
  const { mails, changes } = decideDue([enrollment], steps, earlier, { campaign, at })
  const [mail] = mails
  const [change] = changes
  if (change?.nextRunAt) return stopped('step_wait', 'Its next step is not due yet.', change.nextRunAt)
  if (change)
    return stopped(
      enrollment.lead.isSuppressed ? 'suppressed' : 'ended',
      `Nothing more is sent: ${change.stopReason ?? change.status}.`,
    )
  if (!mail) return stopped('ended', 'Nothing more is sent.')
  return decidePlan(context, campaign, { mailboxId: mail.step.emailAccountId ?? enrollment.emailAccountId, steps, at })
}

type PlanParts = { mailboxId: string | null; steps: readonly { emailAccountId: string | null }[]; at: Date }

/** Whether there is room for one more mail of a campaign. */
async function decidePlan(
  { db }: Context,
  campaign: CampaignFacts,
  { mailboxId, steps, at }: PlanParts,
): Promise<SendDecision> {
  const span = planningSpan(campaign.window, campaign.timezones, at)
  if (!span || span.from > at) return stopped('window', 'The sending window is closed.', span?.from ?? null)
  const named = steps.map(({ emailAccountId }) => emailAccountId).filter((id) => id !== null)
  const mailboxes = await findCompanyMailboxes(db.tenantSql, campaign.companyId, named)
  const budgets = await findBudgets(
    db.tenantSql,
    mailboxes.flatMap((mailbox) => budgetKeys(campaign, mailbox, at)),
  )
  const day = localDay(at, 'UTC')
  const addresses = mailboxes.flatMap(({ address }) => (address ? [{ addressId: address.id, day }] : []))
  const loads = await findAddressLoads(db.systemSql, addresses)
  const rooms = makeRooms(campaign, mailboxes, { budgets, loads, span })
  const [place] = allocate([{ mailboxId }], rooms.mailboxes, rooms.shared)
  if (place?.mailbox) return { isAllowed: true, limit: null, explanation: 'It can be planned now.', earliestAt: at }
  const limit = place?.limit ?? 'mailbox_missing'
  const after = limit === 'plan_limit' && campaign.plan ? periodAt(campaign.plan, at).periodEndAt : span.to
  const opensAt = nextOpenSpan(campaign.window, campaign.timezones.campaign, after)?.from ?? null
  const healsItself = !['mailbox_missing', 'mailbox_paused'].includes(limit)
  return stopped(limit, LIMIT_WORDS[limit], healsItself ? opensAt : null)
}

const LIMIT_WORDS: Record<Limit, string> = {
  mailbox_missing: 'The campaign has no mailbox to send from.',
  mailbox_paused: 'Its mailbox is not active, or its domain not verified.',
  mailbox_cap: 'The mailboxes have sent, or promised, all they may send today.',
  mailbox_warmup: 'The mailboxes are warming up and have promised all they may send today.',
  domain_cap: 'The domain has promised all it may send today.',
  address_cap: 'The addresses that mail leaves from carry all they safely can today.',
  campaign_cap: 'The campaign has promised all it may send today.',
  plan_limit: "The plan's mails of this period are used up.",
  window: 'What is left of the window today is too short for one more mail.',
}
