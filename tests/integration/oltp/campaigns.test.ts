import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { periodDay } from '../../../subgraphs/oltp/services/plans/planPeriod.ts'
import { auditedActs, makeAsk } from './asking.ts'
import { foundLaunchable, promisesOf, writeLeads, writeMail, writePromises } from './launchable.ts'
import { type OltpTier, SERVICE, STAFF, startOltpTier } from './oltpTier.ts'
import type { Workspace } from './workspace.ts'

let tier: OltpTier
let demo: Workspace
let rival: Workspace

beforeAll(async () => {
  tier = await startOltpTier()
  demo = await foundLaunchable(tier)
  rival = await foundLaunchable(tier)
})
afterAll(() => tier?.stop())

const ask = makeAsk(
  () => tier,
  () => demo,
)
const FIELDS = `campaign { id name description status scheduledAt startedAt archivedAt pausedReason dailyCap sendingWindow
  timezone steps { stepOrder stepType template { id } emailAccount { id } waitHours } }`
const ACTIONS = ['launchCampaign', 'pauseCampaign', 'resumeCampaign', 'cancelCampaign']
const mutation = (name: string, selection = FIELDS) => {
  const type = ACTIONS.includes(name) ? 'CampaignActionInput' : `${name[0]?.toUpperCase()}${name.slice(1)}Input`
  const text = `mutation ($input: ${type}!) { ${name}(input: $input) { ${selection} } }`
  return (input: object, workspace?: Workspace, role?: string) => ask(text, { input }, workspace, role)
}
const create = mutation('createCampaign')
const update = mutation('updateCampaign')
const duplicate = mutation('duplicateCampaign')
const archive = mutation('archiveCampaign')
const schedule = mutation('scheduleCampaign')
const launch = mutation('launchCampaign')
const pause = mutation('pauseCampaign')
const resume = mutation('resumeCampaign')
const cancel = mutation('cancelCampaign')
const addLeads = mutation('addCampaignLeads', 'enrolled known suppressed unknown')
const removeLeads = mutation('removeCampaignLeads', 'removed')

const DAY_MS = 86_400_000
const inDays = (days: number) => new Date(Date.now() + days * DAY_MS).toISOString()

function rowOf({ tenantId, campaignId: id }: Workspace) {
  return tier.db.system.campaign.findUniqueOrThrow({ where: { tenantId_id: { tenantId, id } } })
}

async function setCampaign({ tenantId, campaignId: id }: Workspace, data: object) {
  await tier.db.system.campaign.update({ where: { tenantId_id: { tenantId, id } }, data })
}

function enrollmentsOf({ tenantId, campaignId }: Workspace) {
  return tier.db.system.campaignEnrollment.findMany({ where: { tenantId, campaignId }, orderBy: { id: 'asc' } })
}

async function plansAnnounced(workspace: Workspace) {
  const events = await tier.announced(workspace.tenantId)
  return events.filter(({ eventType }) => eventType === 'campaign.planDue').map(({ payload }) => payload)
}

async function agendaOf({ tenantId, campaignId }: Workspace) {
  const { rows } = await tier.db.systemSql.query(
    'SELECT next_plan_at FROM campaign_agenda WHERE tenant_id = $1 AND campaign_id = $2 AND next_plan_at IS NOT NULL',
    [tenantId, campaignId],
  )
  return rows.map((row: { next_plan_at: Date }) => row.next_plan_at)
}

describe('settings', () => {
  const WINDOW = { days: [5, 1, 1], from: '09:00', to: '17:30' }

  test('are checked, stored in one form, changed where something is given, and cleared by null', async () => {
    const input = {
      companyId: demo.companyId,
      name: 'Set',
      dailyCap: 40,
      sendingWindow: WINDOW,
      timezone: 'Asia/Tokyo',
    }
    const { value } = await create(input)
    const campaignId = value.campaign.id
    expect(value.campaign).toMatchObject({
      dailyCap: 40,
      timezone: 'Asia/Tokyo',
      sendingWindow: { days: [1, 5], from: '09:00', to: '17:30' },
    })
    const changed = await update({ campaignId, dailyCap: null, description: 'Why' })
    expect(changed.value.campaign).toMatchObject({ name: 'Set', description: 'Why', dailyCap: null })
    expect(changed.value.campaign.sendingWindow).toEqual(value.campaign.sendingWindow)
    expect((await update({ campaignId, sendingWindow: null })).value.campaign.sendingWindow).toBeNull()
    for (const sendingWindow of [
      { days: [0], from: '09:00', to: '17:00' },
      { days: [8], from: '09:00', to: '17:00' },
      { days: [], from: '09:00', to: '17:00' },
      { days: [1], from: '9:00', to: '17:00' },
      { days: [1], from: '25:00', to: '17:00' },
      { days: [1], from: '09:00', to: '17:00', until: 'never' },
      'always',
      [1],
    ]) {
      expect((await update({ campaignId, sendingWindow })).code).toBe('INVALID_INPUT')
    }
    expect((await update({ campaignId, timezone: 'Mars/Olympus' })).code).toBe('INVALID_INPUT')
    expect((await update({ campaignId, dailyCap: 0 })).code).toBe('INVALID_INPUT')
    expect((await update({ campaignId, name: null })).code).toBe('INVALID_INPUT')
    const acts = (await auditedActs(tier, demo, 'Campaign')).filter(({ resourceId }) => resourceId === campaignId)
    expect(acts.map(({ action, newValues }) => [action, newValues]).slice(1)).toEqual([
      ['campaign.update', { description: 'Why', dailyCap: null }],
      ['campaign.update', { sendingWindow: null }],
    ])
  })

  test('stay as they are while it sends, once it has ended and while it is archived', async () => {
    const workspace = await foundLaunchable(tier)
    const { campaignId } = workspace
    for (const status of ['sending', 'completed', 'cancelled']) {
      await setCampaign(workspace, { status })
      expect((await update({ campaignId, name: 'x' }, workspace)).code).toBe('CONFLICT')
    }
    for (const status of ['draft', 'scheduled', 'paused']) {
      await setCampaign(workspace, { status })
      expect((await update({ campaignId, name: status }, workspace)).value.campaign.name).toBe(status)
    }
    await setCampaign(workspace, { status: 'draft', archivedAt: new Date() })
    expect((await update({ campaignId, name: 'x' }, workspace)).code).toBe('CONFLICT')
  })

  test('a copy is a draft with the same settings and steps, and no leads; the same key makes one', async () => {
    const workspace = await foundLaunchable(tier)
    const { campaignId, templateId, mailboxId } = workspace
    await setCampaign(workspace, { status: 'sending', dailyCap: 7 })
    const input = { campaignId, idempotencyKey: 'copy' }
    const answers = await Promise.all([duplicate(input, workspace), duplicate(input, workspace)])
    expect(answers[0]?.value).toEqual(answers[1]?.value)
    const copy = answers[0]?.value.campaign
    expect(copy).toMatchObject({
      name: 'Spring (copy)',
      status: 'DRAFT',
      dailyCap: 7,
      steps: [{ stepOrder: 1, stepType: 'EMAIL', template: { id: templateId }, emailAccount: { id: mailboxId } }],
    })
    expect(await enrollmentsOf({ ...workspace, campaignId: copy.id })).toEqual([])
    expect((await duplicate({ campaignId, name: 'Mine' }, workspace)).value.campaign.name).toBe('Mine')
    expect((await duplicate({ campaignId }, rival)).code).toBe('NOT_FOUND')
  })

  test('a campaign is put away and fetched back, but not while it is scheduled or sends', async () => {
    const workspace = await foundLaunchable(tier)
    const { campaignId } = workspace
    for (const status of ['scheduled', 'sending']) {
      await setCampaign(workspace, { status })
      expect((await archive({ campaignId }, workspace)).code).toBe('CONFLICT')
    }
    await setCampaign(workspace, { status: 'draft' })
    expect((await archive({ campaignId }, workspace)).value.campaign.archivedAt).not.toBeNull()
    expect((await launch({ id: campaignId }, workspace)).code).toBe('CONFLICT')
    expect((await archive({ campaignId, isArchived: false }, workspace)).value.campaign.archivedAt).toBeNull()
    expect((await launch({ id: campaignId }, workspace)).code).toBeUndefined()
  })
})

describe('the life of a campaign', () => {
  test('launch, pause, resume, cancel: each state leads only where it may', async () => {
    const workspace = await foundLaunchable(tier)
    const { campaignId } = workspace
    expect((await pause({ id: campaignId }, workspace)).code).toBe('CONFLICT')
    expect((await resume({ id: campaignId }, workspace)).code).toBe('CONFLICT')

    const launched = await launch({ id: campaignId }, workspace)
    expect(launched.value.campaign).toMatchObject({ status: 'SENDING', startedAt: expect.any(String) })
    expect(await plansAnnounced(workspace)).toMatchObject([{ plannedCampaignId: campaignId }])
    expect(await agendaOf(workspace)).toHaveLength(1)
    expect((await enrollmentsOf(workspace)).map(({ nextRunAt }) => nextRunAt)).toEqual([expect.any(Date)])
    expect((await launch({ id: campaignId }, workspace)).code).toBe('CONFLICT')

    const paused = await pause({ id: campaignId, reason: ' Holidays ' }, workspace)
    expect(paused.value.campaign).toMatchObject({ status: 'PAUSED', pausedReason: 'Holidays' })
    expect(await agendaOf(workspace)).toEqual([])
    expect((await rowOf(workspace)).pausedAt).not.toBeNull()
    expect((await launch({ id: campaignId }, workspace)).code).toBe('CONFLICT')

    const resumed = await resume({ id: campaignId }, workspace)
    expect(resumed.value.campaign).toMatchObject({
      status: 'SENDING',
      pausedReason: null,
      startedAt: launched.value.campaign.startedAt,
    })
    expect(await plansAnnounced(workspace)).toHaveLength(2)

    const queued = await writeMail(tier, workspace)
    expect((await cancel({ id: campaignId }, workspace)).value.campaign.status).toBe('CANCELLED')
    expect(await agendaOf(workspace)).toEqual([])
    expect(await enrollmentsOf(workspace)).toMatchObject([{ status: 'stopped', stopReason: 'campaign_cancelled' }])
    const mail = await tier.db.system.inboxMessageRef.findFirstOrThrow({ where: { id: queued } })
    expect(mail).toMatchObject({ status: 'failed', failureReason: 'campaign_cancelled', failedAt: expect.any(Date) })
    for (const act of [launch, pause, resume, cancel])
      expect((await act({ id: campaignId }, workspace)).code).toBe('CONFLICT')
    const acts = await auditedActs(tier, workspace, 'Campaign')
    expect(acts.map(({ action }) => action.replace('campaign.', ''))).toEqual(['launch', 'pause', 'resume', 'cancel'])
  })

  test('what was promised for mail that will not leave is given back, of mailbox, domain, campaign and plan', async () => {
    const scheduledAt = new Date('2026-11-25T23:30:00Z')
    const ways: Record<string, (workspace: Workspace) => Promise<unknown>> = {
      cancelled: ({ campaignId, ...own }) => cancel({ id: campaignId }, { campaignId, ...own }),
      removed: async (workspace) => {
        const { campaignId, leadId } = workspace
        await setCampaign(workspace, { status: 'paused' })
        await removeLeads({ campaignId, leadIds: [leadId] }, workspace)
      },
      unsubscribed: (workspace) => mutation('unsubscribeLead', 'lead { id }')({ leadId: workspace.leadId }, workspace),
      deleted: (workspace) => mutation('deleteLead', 'id')({ leadId: workspace.leadId }, workspace),
    }
    for (const [name, end] of Object.entries(ways)) {
      const workspace = await foundLaunchable(tier)
      await writePromises(tier, workspace, scheduledAt, 3)
      const messageId = await writeMail(tier, workspace, { scheduledAt })
      await end(workspace)
      const mail = await tier.db.system.inboxMessageRef.findFirstOrThrow({ where: { id: messageId } })
      expect([name, mail.status]).toEqual([name, 'failed'])
      expect([name, await promisesOf(tier, workspace)]).toEqual([name, { campaign: 2, domain: 2, mailbox: 2, plan: 2 }])
    }
  })

  test('launched ten times at once, it is launched once; the others meet a conflict', async () => {
    const workspace = await foundLaunchable(tier)
    const { campaignId } = workspace
    const answers = await Promise.all(Array.from({ length: 10 }, () => launch({ id: campaignId }, workspace)))
    expect(answers.filter(({ code }) => code === undefined)).toHaveLength(1)
    expect(answers.filter(({ code }) => code === 'CONFLICT')).toHaveLength(9)
    expect(await plansAnnounced(workspace)).toHaveLength(1)
    expect(await enrollmentsOf(workspace)).toMatchObject([{ version: 2 }])
    const pauses = await Promise.all(Array.from({ length: 5 }, () => pause({ id: campaignId }, workspace)))
    expect(pauses.filter(({ code }) => code === undefined)).toHaveLength(1)
  })

  test('launched and cancelled at once, it ends cancelled, with nobody on the way', async () => {
    for (let round = 0; round < 5; round += 1) {
      const workspace = await foundLaunchable(tier)
      const { campaignId } = workspace
      await Promise.all([launch({ id: campaignId }, workspace), cancel({ id: campaignId }, workspace)])
      expect((await rowOf(workspace)).status).toBe('cancelled')
      expect(await enrollmentsOf(workspace)).toMatchObject([{ status: 'stopped', nextRunAt: null }])
      expect(await agendaOf(workspace)).toEqual([])
    }
  })

  test('a launch names what stands in its way, and changes nothing', async () => {
    const workspace = await foundLaunchable(tier)
    const { tenantId, campaignId } = workspace
    await tier.db.system.emailAccount.updateMany({ where: { tenantId }, data: { status: 'paused' } })
    await tier.db.system.campaignEnrollment.deleteMany({ where: { tenantId } })
    const told = await launch({ id: campaignId }, workspace)
    expect(told.code).toBe('INVALID_INPUT')
    expect(told.extensions.findings.map(({ code, severity }: Record<string, string>) => [code, severity])).toEqual([
      ['MAILBOX_INACTIVE', 'BLOCKER'],
      ['NO_ACTIVE_MAILBOX', 'BLOCKER'],
      ['NO_LEADS', 'BLOCKER'],
    ])
    expect(await rowOf(workspace)).toMatchObject({ status: 'draft', startedAt: null, version: 1 })
    expect((await schedule({ campaignId, scheduledAt: inDays(1) }, workspace)).code).toBe('INVALID_INPUT')
  })

  test('a plan that is used up is a limit reached', async () => {
    const workspace = await foundLaunchable(tier)
    const { tenantId, campaignId } = workspace
    const subscription = await tier.db.system.subscription.findFirstOrThrow({ where: { tenantId } })
    const day = new Date(periodDay(subscription, new Date()))
    await tier.db.system.sendingBudget.create({
      data: { tenantId, scope: 'plan', scopeId: subscription.id, day, reserved: 10_000 },
    })
    const told = await launch({ id: campaignId }, workspace)
    expect(told.code).toBe('LIMIT_REACHED')
    expect(told.extensions.findings).toMatchObject([{ code: 'PLAN_LIMIT_REACHED' }])
  })

  test('it is scheduled for a time within a year, again for another one, and made a draft again', async () => {
    const workspace = await foundLaunchable(tier)
    const { campaignId } = workspace
    const at = inDays(3)
    const scheduled = await schedule({ campaignId, scheduledAt: at }, workspace)
    expect(scheduled.value.campaign).toMatchObject({ status: 'SCHEDULED', scheduledAt: at })
    expect(await agendaOf(workspace)).toEqual([new Date(at)])
    // The planner has its job at that very time, however fast the clock goes.
    const planAt = new Date(at).toISOString()
    expect(await plansAnnounced(workspace)).toEqual([{ plannedCampaignId: campaignId, planAt }])
    const later = inDays(5)
    await schedule({ campaignId, scheduledAt: later }, workspace)
    expect(await agendaOf(workspace)).toEqual([new Date(later)])
    expect(await plansAnnounced(workspace)).toMatchObject([{ planAt }, { planAt: new Date(later).toISOString() }])
    expect((await schedule({ campaignId, scheduledAt: inDays(-1) }, workspace)).code).toBe('INVALID_INPUT')
    expect((await schedule({ campaignId, scheduledAt: inDays(400) }, workspace)).code).toBe('INVALID_INPUT')
    const drafted = await schedule({ campaignId, scheduledAt: null }, workspace)
    expect(drafted.value.campaign).toMatchObject({ status: 'DRAFT', scheduledAt: null })
    expect(await agendaOf(workspace)).toEqual([])
    await schedule({ campaignId, scheduledAt: at }, workspace)
    expect((await launch({ id: campaignId }, workspace)).value.campaign.status).toBe('SENDING')
    expect((await schedule({ campaignId, scheduledAt: at }, workspace)).code).toBe('CONFLICT')
  })
})

describe('leads', () => {
  test('are added once, by id or by filter; suppressed, deleted and strange ones stay out', async () => {
    const workspace = await foundLaunchable(tier)
    const { tenantId, campaignId, leadId } = workspace
    const ids = await writeLeads(tier, workspace, 6, (n) => ({
      status: n === 0 ? 'unsubscribed' : 'new',
      deletedAt: n === 1 ? new Date() : null,
    }))
    const first = await addLeads({ campaignId, leadIds: [...ids, leadId, rival.leadId, leadId] }, workspace)
    expect(first.value).toEqual({ enrolled: 4, known: 1, suppressed: 1, unknown: 2 })
    expect((await addLeads({ campaignId, filter: { status: 'NEW' } }, workspace)).value).toMatchObject({
      enrolled: 0,
      known: 5,
    })
    expect(await enrollmentsOf(workspace)).toHaveLength(5)
    expect((await enrollmentsOf(workspace)).every(({ nextRunAt }) => nextRunAt === null)).toBe(true)
    expect((await addLeads({ campaignId, leadIds: ['x'] }, workspace)).code).toBe('INVALID_INPUT')
    const many = Array.from({ length: 5001 }, (_, n) => `01930000-0000-7000-8000-${String(n).padStart(12, '0')}`)
    expect((await addLeads({ campaignId, leadIds: many }, workspace)).code).toBe('LIMIT_REACHED')
    expect((await addLeads({ campaignId, leadIds: [rival.leadId] }, rival)).code).toBe('NOT_FOUND')
    await setCampaign(workspace, { status: 'sending' })
    expect((await addLeads({ campaignId, filter: {} }, workspace)).code).toBe('CONFLICT')
    expect(await tier.db.system.campaignEnrollment.count({ where: { tenantId } })).toBe(5)
  })

  test('who was not written to leaves without a trace; who was stays in the history, and gets no more', async () => {
    const workspace = await foundLaunchable(tier)
    const { campaignId, leadId } = workspace
    const ids = await writeLeads(tier, workspace, 3)
    await addLeads({ campaignId, leadIds: ids }, workspace)
    const messageId = await writeMail(tier, workspace)
    await setCampaign(workspace, { status: 'paused' })
    const removed = await removeLeads({ campaignId, leadIds: [ids[0], leadId, rival.leadId] }, workspace)
    expect(removed.value).toEqual({ removed: 2 })
    expect((await enrollmentsOf(workspace)).map((row) => [row.leadId, row.status, row.stopReason])).toEqual([
      [leadId, 'stopped', 'removed'],
      [ids[1], 'active', null],
      [ids[2], 'active', null],
    ])
    const mail = await tier.db.system.inboxMessageRef.findFirstOrThrow({ where: { id: messageId } })
    expect(mail).toMatchObject({ status: 'failed', failureReason: 'removed_from_campaign' })
    expect((await addLeads({ campaignId, leadIds: [ids[0], leadId] }, workspace)).value).toMatchObject({
      enrolled: 1,
      known: 1,
    })
    expect((await removeLeads({ campaignId, filter: {} }, workspace)).value).toEqual({ removed: 3 })
    await setCampaign(workspace, { status: 'sending' })
    expect((await removeLeads({ campaignId, leadIds: ids }, workspace)).code).toBe('CONFLICT')
  })

  test('stay when a launch is refused, and the next one goes on from there', async () => {
    const workspace = await foundLaunchable(tier)
    const { tenantId, campaignId } = workspace
    await writeLeads(tier, workspace, 10)
    await tier.db.system.template.updateMany({ where: { tenantId }, data: { bodyText: '{{ lead.custom.city }}' } })
    await addLeads({ campaignId, filter: {} }, workspace)
    const refused = await launch({ id: campaignId }, workspace)
    expect(refused.extensions.findings).toMatchObject([{ code: 'CONTENT_NOT_RENDERED', count: 11 }])
    expect(await enrollmentsOf(workspace)).toHaveLength(11)
    await tier.db.system.template.updateMany({ where: { tenantId }, data: { bodyText: 'Hello' } })
    expect((await launch({ id: campaignId }, workspace)).value.campaign.status).toBe('SENDING')
    expect((await enrollmentsOf(workspace)).every(({ nextRunAt }) => nextRunAt !== null)).toBe(true)
  })
})

test("another tenant's campaign is not found by any of these, like one that does not exist", async () => {
  const before = await rowOf(rival)
  for (const campaignId of [rival.campaignId, '01930000-0000-7000-8000-00000000dead']) {
    for (const act of [update, duplicate, archive, addLeads, removeLeads]) {
      expect((await act({ campaignId })).code).toBe('NOT_FOUND')
    }
    for (const act of [launch, pause, resume, cancel]) {
      expect((await act({ id: campaignId })).code).toBe('NOT_FOUND')
    }
    expect((await schedule({ campaignId, scheduledAt: inDays(1) })).code).toBe('NOT_FOUND')
  }
  expect((await launch({ id: 'x' })).code).toBe('INVALID_INPUT')
  expect((await cancel({ id: demo.campaignId, reason: 'why' })).code).toBe('INVALID_INPUT')
  expect(await rowOf(rival)).toEqual(before)
})

test('viewers, staff and services do none of it', async () => {
  const { campaignId, companyId } = demo
  for (const act of [update, duplicate, archive, schedule, addLeads, removeLeads]) {
    expect((await act({ campaignId }, demo, 'viewer')).code).toBe('FORBIDDEN')
  }
  for (const act of [launch, pause, resume, cancel]) {
    expect((await act({ id: campaignId }, demo, 'viewer')).code).toBe('FORBIDDEN')
  }
  expect((await create({ companyId, name: 'x' }, demo, 'viewer')).code).toBe('FORBIDDEN')
  for (const caller of [STAFF, SERVICE]) {
    const text = 'mutation ($id: ID!) { launchCampaign(input: { id: $id }) { campaign { id } } }'
    expect((await tier.ask(text, { id: campaignId }, caller)).errors?.[0]?.extensions.code).toBe('FORBIDDEN')
  }
})
