import { v7 as uuidv7 } from 'uuid'
import type { Caller } from '#platform/caller/caller.ts'
import { realSpan, setClock } from '#platform/clock.ts'
import { type OltpTier, SERVICE } from './oltpTier.ts'
import { foundTenant, makeWorkspace, type Workspace } from './workspace.ts'

/** A tenant with a campaign that sends: mailboxes, leads, steps. */
export type SendingWorld = Workspace & {
  mailboxIds: string[]
  leadIds: string[]
  enrollmentIds: string[]
  stepIds: string[]
}

export type WorldParts = {
  leads?: number
  mailboxes?: number
  domains?: number
  dailyLimit?: number
  dailyCap?: number
  steps?: { stepType?: string; waitHours?: number; condition?: string; isActive?: boolean }[]
  window?: object | null
  timezone?: string
  bodyText?: string
  /** Whether the domains leave by an address; then its safe limit. */
  addressLimit?: number | null
}

/** Founds a tenant whose campaign has been launched. */
export async function makeSendingWorld(tier: OltpTier, parts: WorldParts = {}): Promise<SendingWorld> {
  const { leads = 10, mailboxes = 2, domains = 1, dailyLimit = 50, dailyCap, window = null, timezone = 'UTC' } = parts
  const { steps = [{}], bodyText = 'Hello {{ lead.name }}', addressLimit = null } = parts
  const workspace = makeWorkspace()
  const { input } = workspace
  const ids = (count: number) => Array.from({ length: count }, () => uuidv7())
  const [mailboxIds, leadIds, enrollmentIds, stepIds] = [ids(mailboxes), ids(leads), ids(leads), ids(steps.length)]
  const domainIds = ids(domains)
  const founded = await foundTenant(tier, {
    ...workspace,
    input: {
      ...input,
      domains: domainIds.map((id, index) => ({
        ...{ id, companyId: workspace.companyId, domain: `d${index}.${workspace.domain}` },
        ...{ isPrimary: index === 0, verificationStatus: 'VERIFIED' },
      })),
      emailAccounts: mailboxIds.map((id, index) => ({
        ...{ id, domainId: domainIds[index % domains], email: `m${index}@d${index % domains}.${workspace.domain}` },
        ...{ status: 'ACTIVE', dailyLimit, createdAt: '2026-01-02T00:00:00Z' },
      })),
      leads: leadIds.map((id, index) => ({
        id,
        email: `lead${index}@customer-${workspace.slug}.example`,
        name: `Lee ${index}`,
      })),
      templates: [{ id: workspace.templateId, name: 'Hello', subject: 'Hi {{ lead.name }}', bodyText }],
      campaigns: [
        {
          ...{ id: workspace.campaignId, companyId: workspace.companyId, name: 'Spring', timezone },
          ...{ sendingWindow: window, dailyCap },
          steps: steps.map(({ stepType = 'EMAIL', ...step }, index) => ({
            ...{ id: stepIds[index], stepOrder: index + 1, stepType, ...step },
            ...(stepType === 'EMAIL' && { templateId: workspace.templateId }),
          })),
          enrollments: leadIds.map((leadId, index) => ({ id: enrollmentIds[index], leadId })),
        },
      ],
      smtpIpAddresses:
        addressLimit === null ? [] : input.smtpIpAddresses.map((one) => ({ ...one, dailySafeLimit: addressLimit })),
      vpsInstances: addressLimit === null ? [] : input.vpsInstances,
      domainIpAssignments:
        addressLimit === null
          ? []
          : domainIds.map((domainId) => ({ id: uuidv7(), domainId, smtpIpAddressId: workspace.addressId })),
    } as unknown as Workspace['input'],
  })
  return { ...founded, mailboxIds, leadIds, enrollmentIds, stepIds }
}

/** Has the campaign send from `at` on, as a launch does. */
export async function launch(tier: OltpTier, { tenantId, campaignId }: Named, at: Date): Promise<void> {
  const where = [tenantId, campaignId, at]
  await tier.db.systemSql.query(
    `UPDATE campaigns SET status = 'sending', started_at = $3 WHERE tenant_id = $1 AND id = $2`,
    where,
  )
  await tier.db.systemSql.query(
    `INSERT INTO campaign_agenda (tenant_id, campaign_id, next_plan_at, wake_count) VALUES ($1, $2, $3, 1)
     ON CONFLICT (tenant_id, campaign_id) DO UPDATE SET next_plan_at = $3`,
    where,
  )
  await tier.db.systemSql.query(
    `UPDATE campaign_enrollments SET next_run_at = $3, created_at = $3
     WHERE tenant_id = $1 AND campaign_id = $2 AND status = 'active'`,
    where,
  )
}

/** Sets this process's business clock; it goes on from there at the usual pace. */
export function setNow(at: string | Date): void {
  // The clock shows origin + (real − origin) × speed: a speed next to one moves it without hurrying it. As it differs by
  // a power of two, this is exact: the clock shows no millisecond before `at`, however far that is from the real time.
  const speed = 1 + 1 / 1024
  const real = Date.now()
  setClock({ speed, originAt: (new Date(at).getTime() - real * speed) / (1 - speed) })
  if (Math.abs(realSpan(1) - 1) > 0.01) throw new Error('the clock hurries')
}

export const WORKER: Caller = { ...SERVICE, from: 'worker' }

const PLAN = `mutation ($input: PlanCampaignSendsInput!) { planCampaignSends(input: $input) {
  planned ended nextPlanAt cursor } }`
const BEGIN = `mutation ($input: BeginSendingInput!) { beginSending(input: $input) {
  tenantId messageId outcome reason attempt order { fromEmail toEmail contentStorageKey } } }`
const OPEN = 'mutation ($input: OpenAcceptWindowsInput!) { openAcceptWindows(input: $input) }'
const FINISH = `mutation ($input: FinishSendingInput!) { finishSending(input: $input) { messageId status stale } }`

export type Named = { tenantId: string; campaignId: string }
export type Begun = { tenantId: string; messageId: string; outcome: string; reason: string | null; attempt: number }

/** Plans until there is nothing more to plan now; answers how many mails, and when to look again. */
export async function planAll(tier: OltpTier, { tenantId, campaignId }: Named) {
  let planned = 0
  let cursor: string | null = null
  for (;;) {
    const answer = await plan(tier, { tenantId, campaignId }, cursor)
    planned += answer.planned
    cursor = answer.cursor
    if (cursor === null) return { planned, nextPlanAt: answer.nextPlanAt && new Date(answer.nextPlanAt) }
  }
}

export async function plan(tier: OltpTier, { tenantId, campaignId }: Named, cursor: string | null = null) {
  const { data, errors } = await tier.ask(PLAN, { input: { tenantId, campaignId, cursor } }, WORKER)
  if (errors) throw new Error(JSON.stringify(errors))
  return data.planCampaignSends as { planned: number; ended: number; nextPlanAt: string | null; cursor: string | null }
}

export async function begin(
  tier: OltpTier,
  tenantId: string,
  messageIds: string[],
  isRepeat = false,
  jobId: string | null = null,
): Promise<Begun[]> {
  const mails = messageIds.map((messageId) => ({ tenantId, messageId, jobId, isRepeat }))
  const { data, errors } = await tier.ask(BEGIN, { input: { mails } }, WORKER)
  if (errors) throw new Error(JSON.stringify(errors))
  return data.beginSending
}

export async function openWindows(
  tier: OltpTier,
  begun: Pick<Begun, 'tenantId' | 'messageId' | 'attempt'>[],
): Promise<boolean[]> {
  const attempts = begun.map(({ tenantId, messageId, attempt }) => ({ tenantId, messageId, attempt }))
  return (await tier.ask(OPEN, { input: { attempts } }, WORKER)).data.openAcceptWindows
}

export async function finish(
  tier: OltpTier,
  begun: Pick<Begun, 'tenantId' | 'messageId' | 'attempt'>[],
  outcome = 'SENT',
  response = '250 ok',
): Promise<{ messageId: string; status: string; stale: boolean }[]> {
  const mails = begun.map(({ tenantId, messageId, attempt }) => ({ tenantId, messageId, attempt, outcome, response }))
  const { data, errors } = await tier.ask(FINISH, { input: { mails } }, WORKER)
  if (errors) throw new Error(JSON.stringify(errors))
  return data.finishSending
}

/** All outbound mail of a tenant, in the order it is to leave. */
export function mailsOf(tier: OltpTier, tenantId: string) {
  return tier.db.system.inboxMessageRef.findMany({
    where: { tenantId, direction: 'outbound' },
    orderBy: [{ scheduledAt: 'asc' }, { id: 'asc' }],
  })
}

/** Sends everything that is queued at its time, the clock moved along; answers how many left. */
export async function sendAll(tier: OltpTier, tenantId: string): Promise<number> {
  let sent = 0
  for (const mail of await mailsOf(tier, tenantId)) {
    if (mail.status !== 'queued' || !mail.scheduledAt) continue
    setNow(mail.scheduledAt)
    const [begun] = await begin(tier, tenantId, [mail.id])
    if (begun?.outcome !== 'SEND') continue
    await openWindows(tier, [begun])
    await finish(tier, [begun])
    sent += 1
  }
  return sent
}

/** Sums of what was promised and what left, by scope and day. */
export async function budgetsOf(tier: OltpTier, tenantId: string) {
  return tier.db.system.sendingBudget.findMany({
    where: { tenantId },
    orderBy: [{ scope: 'asc' }, { scopeId: 'asc' }, { day: 'asc' }],
  })
}

export function enrollmentsOf(tier: OltpTier, tenantId: string) {
  return tier.db.system.campaignEnrollment.findMany({ where: { tenantId }, orderBy: { id: 'asc' } })
}

/** When the planner is to look at a campaign, and how often it was called at once. */
export function agendaOf(tier: OltpTier, { tenantId, campaignId }: Named) {
  return tier.db.system.campaignAgenda.findFirst({
    where: { tenantId, campaignId },
    select: { nextPlanAt: true, wakeCount: true },
  })
}

/** What was promised of a tenant's address on a day, and what left by it. */
export function addressLoadOf(tier: OltpTier, { addressId }: Workspace, day: string) {
  return tier.db.system.smtpIpLoad.findFirst({ where: { smtpIpAddressId: addressId, day: new Date(day) } })
}
