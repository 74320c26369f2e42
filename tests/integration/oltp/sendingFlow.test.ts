import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { setClock } from '#platform/clock.ts'
import { type OltpTier, startOltpTier } from './oltpTier.ts'
import {
  addressLoadOf,
  agendaOf,
  begin,
  budgetsOf,
  enrollmentsOf,
  finish,
  launch,
  mailsOf,
  makeSendingWorld,
  plan,
  planAll,
  sendAll,
  setNow,
} from './sendingWorld.ts'

let tier: OltpTier
beforeAll(async () => {
  tier = await startOltpTier({ content: true })
})
afterAll(() => tier?.stop())
afterEach(() => setClock({ speed: 1, originAt: 0 }))

const MONDAY = '2026-11-23T09:00:00.000Z'
const HOURS = { from: '09:00', to: '17:00' }
const countBy = (values: readonly (string | null)[]) => {
  const counts: Record<string, number> = {}
  for (const value of values) counts[String(value)] = (counts[String(value)] ?? 0) + 1
  return counts
}

describe('a campaign', () => {
  test('is planned, sent and completed; each lead gets one mail, spread over mailboxes and the window', async () => {
    setNow(MONDAY)
    const world = await makeSendingWorld(tier, { leads: 10, window: HOURS })
    await launch(tier, world, new Date(MONDAY))
    expect((await planAll(tier, world)).planned).toBe(10)

    const mails = await mailsOf(tier, world.tenantId)
    expect(new Set(mails.map(({ leadId }) => leadId)).size).toBe(10)
    expect(Object.values(countBy(mails.map(({ emailAccountId }) => emailAccountId)))).toEqual([5, 5])
    expect(mails[0]).toMatchObject({ status: 'queued', subject: expect.stringMatching(/^Hi Lee \d$/) })
    const times = mails.map(({ scheduledAt }) => scheduledAt?.getTime() ?? 0)
    expect(Math.min(...times)).toBeGreaterThanOrEqual(Date.parse(MONDAY))
    expect(Math.max(...times)).toBeLessThan(Date.parse('2026-11-23T17:00:00Z'))
    expect(new Set(times).size).toBe(10)
    const announced = await tier.announced(world.tenantId)
    expect(announced.filter(({ eventType }) => eventType === 'mail.due')).toHaveLength(10)

    expect(await planAll(tier, world)).toMatchObject({ planned: 0 })
    expect(await sendAll(tier, world.tenantId)).toBe(10)
    expect(countBy((await mailsOf(tier, world.tenantId)).map(({ status }) => status))).toEqual({ sent: 10 })
    expect(countBy((await enrollmentsOf(tier, world.tenantId)).map(({ status }) => status))).toEqual({ completed: 10 })

    expect(await planAll(tier, world)).toEqual({ planned: 0, nextPlanAt: null })
    const campaign = await tier.db.system.campaign.findFirst({ where: { id: world.campaignId } })
    expect(campaign).toMatchObject({ status: 'completed' })
    expect(await agendaOf(tier, world)).toMatchObject({ nextPlanAt: null })
    const events = (await tier.announced(world.tenantId)).filter(({ eventType }) => eventType === 'email.sent')
    expect(events).toHaveLength(10)
    for (const { scope, reserved, sent } of await budgetsOf(tier, world.tenantId)) {
      expect({ scope, reserved, sent }).toMatchObject(
        scope === 'mailbox' ? { reserved: 5, sent: 5 } : { reserved: 10, sent: 10 },
      )
    }
  })

  test('waits for its window, and for the hours of its steps; follow-ups stay in mailbox and thread', async () => {
    setNow('2026-11-22T20:00:00Z')
    const world = await makeSendingWorld(tier, {
      leads: 3,
      window: { ...HOURS, days: [1, 2, 3, 4, 5] },
      steps: [{}, { stepType: 'WAIT', waitHours: 24 }, { waitHours: 2 }],
    })
    await launch(tier, world, new Date('2026-11-22T20:00:00Z'))
    expect(await planAll(tier, world)).toEqual({ planned: 0, nextPlanAt: new Date(MONDAY) })
    setNow(MONDAY)
    expect((await planAll(tier, world)).planned).toBe(3)
    await sendAll(tier, world.tenantId)
    const first = await mailsOf(tier, world.tenantId)
    for (const { nextRunAt, leadId } of await enrollmentsOf(tier, world.tenantId)) {
      const sentAt = first.find((mail) => mail.leadId === leadId)?.sentAt as Date
      expect(nextRunAt).toEqual(new Date(sentAt.getTime() + 24 * 3_600_000))
    }
    expect((await planAll(tier, world)).planned).toBe(0)
    // A day after the last one, the wait is over for all; the step's own two hours are not.
    setNow('2026-11-24T10:00:00Z')
    expect((await planAll(tier, world)).planned).toBe(0)
    setNow('2026-11-24T12:30:00Z')
    expect((await planAll(tier, world)).planned).toBe(3)
    for (const mail of (await mailsOf(tier, world.tenantId)).slice(3)) {
      const before = first.find(({ leadId }) => leadId === mail.leadId)
      expect(mail).toMatchObject({
        ...{ threadId: before?.id, parentMessageId: before?.id, emailAccountId: before?.emailAccountId },
        stepId: world.stepIds[2],
      })
    }
  })

  test('skips what its conditions exclude, also when that happens after it was planned', async () => {
    setNow(MONDAY)
    const world = await makeSendingWorld(tier, {
      ...{ leads: 4, window: HOURS },
      steps: [{}, { waitHours: 1, condition: 'IF_NOT_OPENED' }, { waitHours: 1 }],
    })
    await launch(tier, world, new Date(MONDAY))
    await planAll(tier, world)
    await sendAll(tier, world.tenantId)
    const [early, late] = await mailsOf(tier, world.tenantId)
    const open = (id: string | undefined) =>
      tier.db.systemSql.query('UPDATE inbox_message_refs SET human_opened_at = $2 WHERE id = $1', [id, MONDAY])
    await open(early?.id)
    setNow('2026-11-24T09:00:00Z')
    // One has opened: of four, three get the second mail, the one gets the third.
    expect((await planAll(tier, world)).planned).toBe(4)
    await open(late?.id)
    await sendAll(tier, world.tenantId)
    const second = (await mailsOf(tier, world.tenantId)).filter(({ stepId }) => stepId === world.stepIds[1])
    expect(
      second.map(({ leadId, status, failureReason }) => [leadId === late?.leadId, status, failureReason]).sort(),
    ).toEqual([
      [false, 'sent', null],
      [false, 'sent', null],
      [true, 'failed', 'condition no longer holds'],
    ])
    setNow('2026-11-24T14:00:00Z')
    await planAll(tier, world)
    const third = (await mailsOf(tier, world.tenantId)).filter(({ stepId }) => stepId === world.stepIds[2])
    expect(new Set(third.map(({ leadId }) => leadId)).size).toBe(4)
  })

  test('that was scheduled begins when its time has come, not before', async () => {
    setNow(MONDAY)
    const world = await makeSendingWorld(tier, { leads: 2 })
    await tier.db.systemSql.query(`UPDATE campaigns SET status = 'scheduled', scheduled_at = $2 WHERE id = $1`, [
      world.campaignId,
      '2026-11-23T12:00:00Z',
    ])
    expect((await plan(tier, world)).planned).toBe(0)
    await tier.db.systemSql.query('UPDATE campaign_enrollments SET created_at = $2 WHERE tenant_id = $1', [
      world.tenantId,
      MONDAY,
    ])
    setNow('2026-11-23T12:00:01Z')
    expect((await planAll(tier, world)).planned).toBe(2)
    const campaign = await tier.db.system.campaign.findFirst({ where: { id: world.campaignId } })
    expect(campaign?.status).toBe('sending')
  })
})

describe('who must not be written to', () => {
  test('is not planned, and not sent what was planned before; the others are', async () => {
    setNow(MONDAY)
    const world = await makeSendingWorld(tier, { leads: 4, window: HOURS })
    await launch(tier, world, new Date(MONDAY))
    const emailOf = async (id: string | undefined) =>
      (await tier.db.system.lead.findFirst({ where: { id } }))?.email as string
    const suppress = async (email: string) =>
      tier.db.system.suppression.create({
        data: { tenantId: world.tenantId, id: crypto.randomUUID(), email, reason: 'manual' },
      })
    await suppress(await emailOf(world.leadIds[0]))
    await tier.db.system.lead.updateMany({
      where: { id: world.leadIds[1] },
      data: { status: 'unsubscribed', unsubscribedAt: new Date(MONDAY) },
    })
    expect((await planAll(tier, world)).planned).toBe(2)
    const byLead = new Map((await enrollmentsOf(tier, world.tenantId)).map((one) => [one.leadId, one]))
    expect(byLead.get(world.leadIds[0] ?? '')).toMatchObject({ status: 'stopped', stopReason: 'suppressed' })
    expect(byLead.get(world.leadIds[1] ?? '')).toMatchObject({ status: 'unsubscribed', stopReason: 'unsubscribed' })

    await suppress(await emailOf(world.leadIds[2]))
    expect(await sendAll(tier, world.tenantId)).toBe(1)
    const dropped = (await mailsOf(tier, world.tenantId)).find(({ leadId }) => leadId === world.leadIds[2])
    expect(dropped).toMatchObject({ status: 'failed', failureReason: 'suppressed', sentAt: null })
    const [mailboxBudget] = (await budgetsOf(tier, world.tenantId)).filter(({ scope }) => scope === 'campaign')
    expect(mailboxBudget).toMatchObject({ reserved: 1, sent: 1 })
  })

  test('and a lead whose mail cannot be filled in stops alone', async () => {
    setNow(MONDAY)
    const world = await makeSendingWorld(tier, { leads: 3, bodyText: 'Hello {{ lead.custom.city }}' })
    await tier.db.systemSql.query(`UPDATE leads SET custom = '{"city":"Bath"}' WHERE tenant_id = $1 AND id <> $2`, [
      world.tenantId,
      world.leadIds[0],
    ])
    await launch(tier, world, new Date(MONDAY))
    expect((await planAll(tier, world)).planned).toBe(2)
    const stopped = (await enrollmentsOf(tier, world.tenantId)).filter(({ status }) => status === 'stopped')
    expect(stopped).toEqual([
      expect.objectContaining({
        leadId: world.leadIds[0],
        stopReason: expect.stringMatching(/^step 1: bodyText: lead\.custom\.city/),
      }),
    ])
  })
})

describe('caps', () => {
  test('of mailboxes, domains, addresses, campaign and plan hold each day, whichever binds', async () => {
    const cases = [
      { parts: { dailyLimit: 3 }, planned: 6 },
      { parts: { dailyCap: 5 }, planned: 5 },
      { parts: { addressLimit: 4 }, planned: 4 },
    ]
    for (const { parts, planned } of cases) {
      setNow(MONDAY)
      const world = await makeSendingWorld(tier, { leads: 20, mailboxes: 2, window: HOURS, ...parts })
      await launch(tier, world, new Date(MONDAY))
      const first = await planAll(tier, world)
      expect({ parts, planned: first.planned }).toEqual({ parts, planned })
      await sendAll(tier, world.tenantId)
      expect((await planAll(tier, world)).planned).toBe(0)
      setNow('2026-11-24T09:00:00Z')
      expect((await planAll(tier, world)).planned).toBe(planned)
      if ('addressLimit' in parts) {
        expect(await addressLoadOf(tier, world, '2026-11-23')).toMatchObject({ reserved: 4, sent: 4 })
      }
    }
  })

  test("of the plan's period hold over its days", async () => {
    setNow(MONDAY)
    const world = await makeSendingWorld(tier, { leads: 8, window: HOURS })
    await tier.db.systemSql.query('UPDATE plans SET max_emails_per_month = 5 WHERE code = $1', ['starter'])
    await launch(tier, world, new Date(MONDAY))
    expect((await planAll(tier, world)).planned).toBe(5)
    setNow('2026-11-24T09:00:00Z')
    expect((await planAll(tier, world)).planned).toBe(0)
    await tier.db.systemSql.query('UPDATE plans SET max_emails_per_month = 10000 WHERE code = $1', ['starter'])
    expect((await planAll(tier, world)).planned).toBe(3)
  })

  test('let a mailbox that warms up send more each day', async () => {
    const world = await makeSendingWorld(tier, { leads: 40, mailboxes: 1, window: HOURS })
    await tier.db.systemSql.query(
      `UPDATE email_accounts SET warmup_status = 'active', warmup_started_at = $2 WHERE tenant_id = $1`,
      [world.tenantId, MONDAY],
    )
    await launch(tier, world, new Date(MONDAY))
    const planned = []
    for (const day of ['23', '24', '25', '26']) {
      setNow(`2026-11-${day}T09:00:00Z`)
      planned.push((await planAll(tier, world)).planned)
      await sendAll(tier, world.tenantId)
    }
    expect(planned).toEqual([5, 7, 10, 10])
  })

  test('are not passed by planners at once, of one campaign and of several that share mailboxes; each lead is planned once', async () => {
    setNow(MONDAY)
    const world = await makeSendingWorld(tier, {
      leads: 60,
      mailboxes: 3,
      dailyLimit: 12,
      window: HOURS,
      addressLimit: 30,
    })
    const others = await addCampaigns(world)
    const all = [world, ...others]
    for (const one of all) await launch(tier, one, new Date(MONDAY))
    await Promise.all([...all, ...all, ...all].map((one) => planAll(tier, one)))
    const mails = await mailsOf(tier, world.tenantId)
    expect(mails).toHaveLength(30)
    expect(new Set(mails.map(({ enrollmentId }) => enrollmentId)).size).toBe(30)
    for (const count of Object.values(countBy(mails.map(({ emailAccountId }) => emailAccountId))))
      expect(count).toBeLessThanOrEqual(12)
    expect(await addressLoadOf(tier, world, '2026-11-23')).toMatchObject({ reserved: 30 })
    const budgets = (await budgetsOf(tier, world.tenantId)).filter(({ scope }) => scope === 'mailbox')
    expect(budgets.reduce((sum, { reserved }) => sum + reserved, 0)).toBe(30)
  })

  /** Two more campaigns of the same workspace and leads. */
  async function addCampaigns({
    tenantId,
    companyId,
    templateId,
    leadIds,
  }: Awaited<ReturnType<typeof makeSendingWorld>>) {
    const campaigns = [crypto.randomUUID(), crypto.randomUUID()]
    for (const id of campaigns) {
      await tier.db.system.campaign.create({ data: { tenantId, id, companyId, name: id, sendingWindow: HOURS } })
      await tier.db.system.campaignSequenceStep.create({
        data: { tenantId, id: crypto.randomUUID(), campaignId: id, stepOrder: 1, templateId },
      })
      await tier.db.system.campaignEnrollment.createMany({
        data: leadIds.map((leadId) => ({ tenantId, id: crypto.randomUUID(), campaignId: id, leadId })),
      })
    }
    return campaigns.map((campaignId) => ({ tenantId, campaignId }))
  }
})

test('follow-ups come before first mails when there is room for few', async () => {
  setNow(MONDAY)
  const world = await makeSendingWorld(tier, {
    leads: 12,
    mailboxes: 1,
    dailyLimit: 4,
    window: HOURS,
    steps: [{}, { waitHours: 12 }],
  })
  await launch(tier, world, new Date(MONDAY))
  await planAll(tier, world)
  await sendAll(tier, world.tenantId)
  setNow('2026-11-24T09:00:00Z')
  await planAll(tier, world)
  const second = (await mailsOf(tier, world.tenantId)).slice(4)
  expect(second.map(({ stepId }) => stepId)).toEqual(Array(4).fill(world.stepIds[1]))
})

test('planning costs the same number of statements for ten leads and for three hundred', async () => {
  const counts: number[] = []
  for (const leads of [10, 300]) {
    setNow(MONDAY)
    const world = await makeSendingWorld(tier, { leads, mailboxes: 10, window: HOURS, addressLimit: 1_000 })
    await launch(tier, world, new Date(MONDAY))
    // The second time nothing has to be prepared, on whichever connection.
    const { result, statements } = await tier.db.statements.during(() => plan(tier, world))
    expect(result.planned).toBe(leads)
    counts.push(statements.filter((text) => !/(FROM|UPDATE) outbox_events|set_config/.test(text)).length)
  }
  expect(counts[1]).toBeLessThanOrEqual((counts[0] ?? 0) + 2)
  expect(counts[1]).toBeLessThanOrEqual(40)
})

test("another tenant's campaign or mail is like one that does not exist", async () => {
  setNow(MONDAY)
  const world = await makeSendingWorld(tier, { leads: 2 })
  const rival = await makeSendingWorld(tier, { leads: 1 })
  await launch(tier, world, new Date(MONDAY))
  expect(await planAll(tier, { tenantId: rival.tenantId, campaignId: world.campaignId })).toEqual({
    planned: 0,
    nextPlanAt: null,
  })
  await planAll(tier, world)
  const [mail] = await mailsOf(tier, world.tenantId)
  setNow(mail?.scheduledAt as Date)
  const [begun] = await begin(tier, rival.tenantId, [mail?.id as string])
  expect(begun).toMatchObject({ outcome: 'NOT_FOUND' })
  const [own] = await begin(tier, world.tenantId, [mail?.id as string])
  expect(await finish(tier, [{ ...own, tenantId: rival.tenantId } as never])).toMatchObject([{ stale: true }])
  expect((await mailsOf(tier, world.tenantId))[0]?.status).toBe('sending')
})
