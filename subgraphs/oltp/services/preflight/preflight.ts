import { now } from '#platform/clock.ts'
import type { Queryable } from '#platform/database/tenantPool.ts'
import { findCurrentTenant } from '#platform/database/tenantScope.ts'
import { isUuid } from '#platform/graph/ids.ts'
import type { Database } from '../../database.ts'
import { findBudgets } from '../sending/budgets.ts'
import {
  type CampaignFacts,
  findCampaignFacts,
  findCompanyMailboxes,
  findPlannedSteps,
  type PlannedStep,
  planKey,
  type SendingMailbox,
} from '../sending/campaignFacts.ts'
import { addressCapacity, capacityOf, mailboxCapacity, waitsBefore } from './preflightCapacity.ts'
import { checkLeads, checkLimits, checkMailboxes, checkSequence } from './preflightChecks.ts'
import { checkContents, countLeads, renderSample } from './preflightContent.ts'
import { estimateFinish } from './preflightEstimate.ts'
import type { Finding } from './preflightFindings.ts'

/** What a campaign looks like before it is launched; `id` is the campaign's. */
export type PreflightRow = {
  id: string
  canLaunch: boolean
  findings: Finding[]
  leadCount: number
  suppressedLeadCount: number
  renderedLeadCount: number
  /** Mails if nobody answers. */
  plannedMailCount: number
  /** Mails that the plan still allows in its period; null for any number. */
  planRoom: number | null
  activeMailboxCount: number
  mailboxCapacityPerDay: number
  /** Of the addresses its domains send from; null when they send from none of ours. */
  addressCapacityPerDay: number | null
  /** What the narrowest of all limits lets through. */
  capacityPerDay: number
  expectedFinishAt: Date | null
  asOf: Date
}

/**
 * Looks a campaign over in a fixed number of statements, whatever the number of its leads; null for an unknown one.
 * Of all leads it is checked that they have the fields its templates need; for the newest 200 everything is rendered.
 */
export async function findPreflight({ tenantSql: sql }: Database, campaignId: string): Promise<PreflightRow | null> {
  if (findCurrentTenant() === null || !isUuid(campaignId)) return null
  const id = campaignId.toLowerCase()
  const campaign = (await findCampaignFacts(sql, [id])).get(id)
  return campaign ? checkCampaign(sql, campaign) : null
}

async function checkCampaign(sql: Queryable, campaign: CampaignFacts): Promise<PreflightRow> {
  const at = now()
  const allSteps = (await findPlannedSteps(sql, [campaign.id])).get(campaign.id) ?? []
  const steps = allSteps.filter(({ isActive }) => isActive)
  const emails = steps.filter(({ stepType }) => stepType === 'email')
  const named = emails.flatMap(({ emailAccountId }) => emailAccountId ?? [])
  const mailboxes = usedMailboxes(await findCompanyMailboxes(sql, campaign.companyId, named), emails)
  const active = mailboxes.filter(({ isActive }) => isActive)
  const { contents, findings: contentFindings } = checkContents(emails)
  const counts = await countLeads(sql, campaign, contents)
  const sender = active[0] ?? { email: 'sender@example.com', displayName: null }
  const sample = await renderSample(sql, campaign, contents, {
    sender: { email: sender.email, name: sender.displayName },
    company: { name: campaign.companyName },
  })
  const planRoom = await findPlanRoom(sql, campaign, at)

  const mailable = counts.leads - counts.suppressed
  const plannedMailCount = mailable * emails.length
  const capacityOn = (day: Date) => capacityOf(campaign, active, day)
  const expectedFinishAt = estimateFinish({
    leads: mailable,
    waitHours: waitsBefore(steps),
    capacityOn,
    mailboxes: active.length,
    planRoom,
    window: campaign.window,
    timezones: campaign.timezones,
    startAt: campaign.scheduledAt && campaign.scheduledAt > at ? campaign.scheduledAt : at,
  })
  const capacityPerDay = capacityOn(at)
  const findings = [
    ...checkSequence(steps, emails),
    ...contentFindings,
    ...checkMailboxes(mailboxes, emails),
    ...checkLeads({ ...counts, mailable, sample }),
    ...checkLimits({ active, capacityPerDay, planRoom, plannedMailCount, expectedFinishAt }),
  ]
  return {
    id: campaign.id,
    canLaunch: findings.every(({ severity }) => severity !== 'blocker'),
    findings,
    leadCount: counts.leads,
    suppressedLeadCount: counts.suppressed,
    renderedLeadCount: sample.rendered,
    plannedMailCount,
    planRoom,
    activeMailboxCount: active.length,
    mailboxCapacityPerDay: mailboxCapacity(active, at),
    addressCapacityPerDay: addressCapacity(active, at),
    capacityPerDay,
    expectedFinishAt,
    asOf: at,
  }
}

/** Those that steps name; and, if some step names none, all of the company's. */
function usedMailboxes(mailboxes: SendingMailbox[], emails: readonly PlannedStep[]): SendingMailbox[] {
  if (emails.some(({ emailAccountId }) => emailAccountId === null)) return mailboxes
  const named = new Set(emails.map(({ emailAccountId }) => emailAccountId))
  return mailboxes.filter(({ id }) => named.has(id))
}

async function findPlanRoom(sql: Queryable, { plan }: CampaignFacts, at: Date): Promise<number | null> {
  if (!plan) return null
  const key = planKey(plan, at)
  const budgets = await findBudgets(sql, [key])
  return Math.max(0, plan.maxEmails - budgets.of(key).reserved)
}
