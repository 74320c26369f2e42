import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { v7 as uuidv7 } from 'uuid'
import { periodDay } from '../../../subgraphs/oltp/services/plans/planPeriod.ts'
import { makeAsk } from './asking.ts'
import { foundLaunchable, writeLeads } from './launchable.ts'
import { type OltpTier, SERVICE, STAFF, startOltpTier } from './oltpTier.ts'
import type { Workspace } from './workspace.ts'

let tier: OltpTier
let system: OltpTier['db']['system']
let rival: Workspace

beforeAll(async () => {
  tier = await startOltpTier()
  system = tier.db.system
  rival = await foundLaunchable(tier)
})
afterAll(() => tier?.stop())

const ask = makeAsk(
  () => tier,
  () => rival,
)
const PREFLIGHT = `query ($id: ID!) { campaignPreflight(campaignId: $id) {
  id campaign { name } canLaunch findings { code severity message count } leadCount suppressedLeadCount renderedLeadCount
  plannedMailCount planRoom activeMailboxCount mailboxCapacityPerDay addressCapacityPerDay capacityPerDay
  expectedFinishAt asOf } }`

const preflight = (workspace: Workspace, of = workspace) => ask(PREFLIGHT, { id: workspace.campaignId }, of)

async function findingsOf(workspace: Workspace) {
  const { value } = await preflight(workspace)
  return value.findings.map(({ code, severity, count }: Record<string, unknown>) => [code, severity, count])
}

const inTenant = ({ tenantId }: Workspace) => ({ where: { tenantId } })

async function enroll({ tenantId, campaignId }: Workspace, leadIds: string[]) {
  await system.campaignEnrollment.createMany({
    data: leadIds.map((leadId) => ({ tenantId, id: uuidv7(), campaignId, leadId })),
  })
}

test('a campaign that nothing stands in the way of, with its figures', async () => {
  const workspace = await foundLaunchable(tier)
  const { value } = await preflight(workspace)
  expect(value).toEqual({
    id: workspace.campaignId,
    campaign: { name: 'Spring' },
    canLaunch: true,
    findings: [],
    leadCount: 1,
    suppressedLeadCount: 0,
    renderedLeadCount: 1,
    plannedMailCount: 1,
    planRoom: 10_000,
    activeMailboxCount: 1,
    mailboxCapacityPerDay: 50,
    addressCapacityPerDay: 1200,
    capacityPerDay: 50,
    expectedFinishAt: expect.any(String),
    asOf: expect.any(String),
  })
  const minutes = (Date.parse(value.expectedFinishAt) - Date.parse(value.asOf)) / 60_000
  expect(minutes).toBeGreaterThanOrEqual(0)
  expect(minutes).toBeLessThanOrEqual(16)
})

test('content is missing, broken, or has no link to unsubscribe', async () => {
  const workspace = await foundLaunchable(tier)
  await system.template.updateMany({ ...inTenant(workspace), data: { bodyText: 'No link' } })
  expect(await findingsOf(workspace)).toEqual([['UNSUBSCRIBE_LINK_ADDED', 'WARNING', 1]])
  await system.template.updateMany({ ...inTenant(workspace), data: { bodyText: '{{ lead.nothing }}' } })
  expect(await findingsOf(workspace)).toEqual([['TEMPLATE_BROKEN', 'BLOCKER', null]])
  await system.template.updateMany({ ...inTenant(workspace), data: { deletedAt: new Date() } })
  expect(await findingsOf(workspace)).toEqual([['TEMPLATE_MISSING', 'BLOCKER', null]])
})

test('a sequence that sends nothing, and steps that lead nowhere', async () => {
  const workspace = await foundLaunchable(tier)
  const { tenantId, campaignId } = workspace
  const step = { tenantId, campaignId, stepType: 'wait', waitHours: 5 }
  await system.campaignSequenceStep.create({ data: { ...step, id: uuidv7(), stepOrder: 2 } })
  expect(await findingsOf(workspace)).toEqual([['STEP_WITHOUT_EFFECT', 'WARNING', 1]])
  await system.campaignSequenceStep.updateMany({ where: { tenantId, stepType: 'email' }, data: { isActive: false } })
  expect(await findingsOf(workspace)).toContainEqual(['NO_EMAIL_STEP', 'BLOCKER', null])
})

test('leads who lack a field that the text needs are counted, all of them; a default helps, and so does asking first', async () => {
  const workspace = await foundLaunchable(tier)
  const city = (n: number) => ({ custom: n < 300 ? {} : { city: 'Kiel' } })
  await enroll(workspace, await writeLeads(tier, workspace, 350, city))
  const withText = async (text: string) => {
    const data = { bodyText: `${text} {{ unsubscribe_url }}` }
    await system.template.updateMany({ ...inTenant(workspace), data })
    return preflight(workspace)
  }
  const needed = await withText('{{ lead.custom.city }}')
  expect(needed.value).toMatchObject({ canLaunch: false, leadCount: 351, renderedLeadCount: 200 })
  expect(needed.value.findings).toMatchObject([{ code: 'CONTENT_NOT_RENDERED', severity: 'BLOCKER', count: 301 }])
  expect(needed.value.findings[0].message).toContain('lead.custom.city')
  expect((await withText('{{ lead.custom.city | default: "there" }}')).value.findings).toEqual([])
  expect((await withText('{% if lead.custom.city %}{{ lead.custom.city }}{% endif %}')).value.findings).toEqual([])
  // What is asked of the lead's own values shows in those that are rendered.
  await system.template.updateMany({ ...inTenant(workspace), data: { subject: '{{ lead.company }}' } })
  expect((await preflight(workspace)).value.findings).toMatchObject([{ code: 'CONTENT_NOT_RENDERED', count: 200 }])
})

test('suppressed leads are counted and get nothing; without any other there is nobody to write to', async () => {
  const workspace = await foundLaunchable(tier)
  const { tenantId } = workspace
  const leads = await writeLeads(tier, workspace, 3, (n) => ({ email: `s${n}@blocked-${workspace.slug}.example` }))
  await enroll(workspace, leads)
  const domain = `blocked-${workspace.slug}.example`
  await system.suppression.create({ data: { tenantId, id: uuidv7(), domain, reason: 'manual' } })
  expect((await preflight(workspace)).value).toMatchObject({
    ...{ leadCount: 4, suppressedLeadCount: 3, plannedMailCount: 1, canLaunch: true },
    findings: [{ code: 'LEADS_SUPPRESSED', severity: 'WARNING', count: 3 }],
  })
  await system.lead.updateMany({ where: { tenantId, id: workspace.leadId }, data: { status: 'bounced' } })
  expect(await findingsOf(workspace)).toEqual([
    ['NO_LEADS', 'BLOCKER', null],
    ['LEADS_SUPPRESSED', 'WARNING', 4],
  ])
})

test('mailboxes: named ones must be active, of the others one; domains must be verified', async () => {
  const workspace = await foundLaunchable(tier)
  const { tenantId, stepId } = workspace
  const step = { tenantId_id: { tenantId, id: stepId } }
  await system.campaignSequenceStep.update({ where: step, data: { emailAccountId: null } })
  expect(await findingsOf(workspace)).toEqual([['MAILBOXES_IDLE', 'WARNING', 1]])
  await system.emailAccount.updateMany({ ...inTenant(workspace), data: { status: 'suspended' } })
  expect(await findingsOf(workspace)).toEqual([['NO_ACTIVE_MAILBOX', 'BLOCKER', null]])
  await system.emailAccount.updateMany({ ...inTenant(workspace), data: { status: 'active' } })
  await system.domain.updateMany({ ...inTenant(workspace), data: { verificationStatus: 'failed' } })
  expect(await findingsOf(workspace)).toContainEqual(['DOMAIN_NOT_VERIFIED', 'BLOCKER', 2])
  const mailboxId = workspace.pausedMailboxId
  await system.campaignSequenceStep.update({ where: step, data: { emailAccountId: mailboxId } })
  await system.emailAccount.updateMany({ where: { tenantId, id: mailboxId }, data: { deletedAt: new Date() } })
  expect(await findingsOf(workspace)).toContainEqual(['MAILBOX_MISSING', 'BLOCKER', null])
})

test('limits: of the plan, of a mailbox that warms up, of an address, of the campaign', async () => {
  const workspace = await foundLaunchable(tier)
  const { tenantId, campaignId, addressId } = workspace
  await enroll(workspace, await writeLeads(tier, workspace, 99))
  const subscription = await system.subscription.findFirstOrThrow(inTenant(workspace))
  const day = new Date(periodDay(subscription, new Date()))
  const key = { tenantId, scope: 'plan', scopeId: subscription.id, day }
  await system.sendingBudget.create({ data: { ...key, reserved: 9_940 } })
  expect((await preflight(workspace)).value).toMatchObject({ planRoom: 60, expectedFinishAt: null, canLaunch: true })
  expect(await findingsOf(workspace)).toEqual([
    ['PLAN_LIMIT_NEAR', 'WARNING', 60],
    ['FINISH_FAR_AWAY', 'WARNING', null],
  ])
  await system.sendingBudget.updateMany({ ...inTenant(workspace), data: { reserved: 0 } })
  await system.smtpIpAddress.updateMany({ where: { id: addressId }, data: { dailySafeLimit: 30 } })
  expect((await preflight(workspace)).value).toMatchObject({ addressCapacityPerDay: 30, capacityPerDay: 30 })
  await system.campaign.updateMany({ where: { tenantId, id: campaignId }, data: { dailyCap: 8 } })
  expect((await preflight(workspace)).value).toMatchObject({ capacityPerDay: 8 })
  const warming = { warmupStatus: 'active', warmupStartedAt: new Date() }
  await system.emailAccount.updateMany({ ...inTenant(workspace), data: warming })
  expect((await preflight(workspace)).value).toMatchObject({ mailboxCapacityPerDay: 5, capacityPerDay: 5 })
  await system.smtpIpAddress.updateMany({ where: { id: addressId }, data: { status: 'quarantined' } })
  expect(await findingsOf(workspace)).toContainEqual(['NO_CAPACITY', 'BLOCKER', 0])
})

test('the finish follows from capacity, waits and the window', async () => {
  const workspace = await foundLaunchable(tier)
  const { tenantId, campaignId, templateId } = workspace
  await enroll(workspace, await writeLeads(tier, workspace, 119))
  const days = async () => {
    const { value } = await preflight(workspace)
    return (Date.parse(value.expectedFinishAt) - Date.parse(value.asOf)) / 86_400_000
  }
  // 50 a day: today, tomorrow, and the day after.
  const alone = await days()
  expect(alone).toBeGreaterThan(1)
  expect(alone).toBeLessThan(3)
  const step = { tenantId, campaignId, stepOrder: 2, templateId, waitHours: 240 }
  await system.campaignSequenceStep.create({ data: { ...step, id: uuidv7() } })
  const withFollowUp = await days()
  expect(withFollowUp).toBeGreaterThan(11)
  expect(withFollowUp).toBeLessThan(14)
  const sendingWindow = { days: [3], from: '09:00', to: '10:00' }
  await system.campaign.updateMany({ where: { tenantId, id: campaignId }, data: { sendingWindow } })
  const onWednesdays = await days()
  // 50 + 50, then their follow-ups before the last 20, then the follow-ups of those: seven Wednesdays.
  expect(onWednesdays).toBeGreaterThan(41)
  expect(onWednesdays).toBeLessThan(50)
})

test('it costs the same statements whatever the number of leads', async () => {
  const small = await foundLaunchable(tier)
  const large = await foundLaunchable(tier)
  await enroll(large, await writeLeads(tier, large, 3_000))
  const statementsOf = async (workspace: Workspace) => {
    const { statements } = await tier.db.statements.during(() => preflight(workspace))
    return statements.filter((text) => !/outbox_events|set_config/.test(text)).length
  }
  await statementsOf(small)
  const count = await statementsOf(small)
  expect(await statementsOf(large)).toBe(count)
  expect(count).toBeLessThanOrEqual(8)
})

test("another tenant's campaign has no preflight, also not as an entity; staff and services are refused", async () => {
  const workspace = await foundLaunchable(tier)
  expect((await preflight(rival, workspace)).value).toBeNull()
  expect((await ask(PREFLIGHT, { id: 'x' })).value).toBeNull()
  expect((await ask(PREFLIGHT, { id: rival.campaignId }, rival, 'viewer')).value.canLaunch).toBe(true)
  const entity = 'query ($r: [_Any!]!) { _entities(representations: $r) { ... on CampaignPreflight { canLaunch } } }'
  const of = (id: string) => ask(entity, { r: [{ __typename: 'CampaignPreflight', id }] }, workspace)
  expect((await of(workspace.campaignId)).value).toEqual([{ canLaunch: true }])
  expect((await of(rival.campaignId)).value).toEqual([null])
  for (const caller of [STAFF, SERVICE]) {
    const answer = await tier.ask(PREFLIGHT, { id: rival.campaignId }, caller)
    expect(answer.errors?.[0]?.extensions.code).toBe('FORBIDDEN')
  }
})
