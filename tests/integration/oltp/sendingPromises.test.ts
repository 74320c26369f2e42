import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { v7 as uuidv7 } from 'uuid'
import { setClock } from '#platform/clock.ts'
import { makeMail } from '../../support/mails.ts'
import { makeAsk } from './asking.ts'
import { ingest } from './inboxMails.ts'
import { type OltpTier, startOltpTier } from './oltpTier.ts'
import {
  addressLoadOf,
  agendaOf,
  type Begun,
  begin,
  finish,
  launch,
  mailsOf,
  makeSendingWorld,
  openWindows,
  planAll,
  type SendingWorld,
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
const sql = (text: string, values: unknown[]) => tier.db.systemSql.query(text, values)

async function makePlanned(parts: Parameters<typeof makeSendingWorld>[1] = {}) {
  setNow(MONDAY)
  const world = await makeSendingWorld(tier, { leads: 1, mailboxes: 1, window: HOURS, ...parts })
  await launch(tier, world, new Date(MONDAY))
  await planAll(tier, world)
  return world
}
const beginAll = async (world: SendingWorld, ids: (string | undefined)[], isRepeat = false) =>
  (await begin(tier, world.tenantId, ids as string[], isRepeat)) as Begun[]

/** `reserved sent` by scope; of several budgets of a scope their sum. */
async function promisesOf({ tenantId }: SendingWorld) {
  const sums: Record<string, string> = {}
  const { rows } = await sql(
    `SELECT scope, sum(reserved)::int AS reserved, sum(sent)::int AS sent FROM sending_budgets
     WHERE tenant_id = $1 GROUP BY scope ORDER BY scope`,
    [tenantId],
  )
  for (const { scope, reserved, sent } of rows) sums[scope] = `${reserved} ${sent}`
  return sums
}
const all = (promise: string) => ({ campaign: promise, domain: promise, mailbox: promise, plan: promise })

const ask = makeAsk(
  () => tier,
  () => {
    throw new Error('name a workspace')
  },
)
const mutate = (name: string, answers: string, input: object, world: SendingWorld) => {
  const type = 'id' in input ? 'CampaignActionInput' : `${name[0]?.toUpperCase()}${name.slice(1)}Input`
  return ask(`mutation ($input: ${type}!) { ${name}(input: $input) { ${answers} } }`, { input }, world, 'owner')
}

describe('what was promised for mail that will not leave', () => {
  const emailOf = ({ slug }: SendingWorld) => `lead0@customer-${slug}.example`
  const ways: Record<string, (world: SendingWorld) => Promise<unknown>> = {
    cancelCampaign: (world) => mutate('cancelCampaign', 'campaign { id }', { id: world.campaignId }, world),
    removeCampaignLeads: async (world) => {
      await mutate('pauseCampaign', 'campaign { id }', { id: world.campaignId }, world)
      const input = { campaignId: world.campaignId, leadIds: world.leadIds }
      return mutate('removeCampaignLeads', 'removed', input, world)
    },
    deleteLead: (world) => mutate('deleteLead', 'id', { leadId: world.leadIds[0] }, world),
    unsubscribeLead: (world) => mutate('unsubscribeLead', 'lead { id }', { leadId: world.leadIds[0] }, world),
    addSuppression: (world) => mutate('addSuppression', 'suppression { id }', { email: emailOf(world) }, world),
    'a domain suppressed': (world) =>
      mutate('addSuppression', 'suppression { id }', { domain: emailOf(world).split('@')[1] }, world),
    deleteEmailAccount: (world) => mutate('deleteEmailAccount', 'id', { emailAccountId: world.mailboxIds[0] }, world),
    'a drop at the last moment': async (world) => {
      await sql("UPDATE leads SET status = 'unsubscribed' WHERE tenant_id = $1", [world.tenantId])
      const [mail] = await mailsOf(tier, world.tenantId)
      setNow(mail?.scheduledAt as Date)
      expect(await beginAll(world, [mail?.id])).toMatchObject([{ outcome: 'DROPPED' }])
    },
  }
  test.each(Object.keys(ways))('is given back to mailbox, domain, campaign, plan and address: %s', async (name) => {
    const rival = await makePlanned({ addressLimit: 10 })
    const world = await makePlanned({ addressLimit: 10 })
    expect(await promisesOf(world)).toEqual(all('1 0'))
    const done = await ways[name]?.(world)
    expect(done ?? { code: undefined }).toMatchObject({ code: undefined })
    expect((await mailsOf(tier, world.tenantId))[0]).toMatchObject({ status: 'failed' })
    expect(await promisesOf(world)).toEqual(all('0 0'))
    expect(await addressLoadOf(tier, world, '2026-11-23')).toMatchObject({ reserved: 0, sent: 0 })
    expect(await promisesOf(rival)).toEqual(all('1 0'))
    expect(await addressLoadOf(tier, rival, '2026-11-23')).toMatchObject({ reserved: 1 })
  })

  test('is given back by an answer too, of the mail that was to follow', async () => {
    const world = await makePlanned({ steps: [{}, {}] })
    await sendAll(tier, world.tenantId)
    await planAll(tier, world)
    expect(await promisesOf(world)).toEqual(all('2 1'))
    const [first] = await mailsOf(tier, world.tenantId)
    await ingest(tier, world, answer(world, first))
    expect((await mailsOf(tier, world.tenantId)).map(({ status }) => status)).toEqual(['replied', 'failed'])
    expect(await promisesOf(world)).toEqual(all('1 1'))
  })
})

type Mail = Awaited<ReturnType<typeof mailsOf>>[number]
function answer({ slug }: SendingWorld, mail: Mail | undefined) {
  return makeMail({
    headers: {
      From: `Lee <lead0@customer-${slug}.example>`,
      To: mail?.fromEmail as string,
      Subject: 'Re: Hi',
      'In-Reply-To': `<${mail?.rfc822MessageId}>`,
    },
  })
}

describe('the day', () => {
  test('gets back what was counted when a repeat is held, and counts it again when it leaves', async () => {
    const world = await makePlanned()
    const [mail] = await mailsOf(tier, world.tenantId)
    setNow(mail?.scheduledAt as Date)
    await beginAll(world, [mail?.id])
    expect(await promisesOf(world)).toEqual(all('1 1'))
    await sql("UPDATE email_accounts SET status = 'paused' WHERE tenant_id = $1", [world.tenantId])
    expect(await beginAll(world, [mail?.id], true)).toMatchObject([{ outcome: 'HELD', reason: 'mailbox_paused' }])
    expect(await promisesOf(world)).toEqual(all('1 0'))
    await sql("UPDATE email_accounts SET status = 'active' WHERE tenant_id = $1", [world.tenantId])
    await finish(tier, await beginAll(world, [mail?.id]))
    expect(await promisesOf(world)).toEqual(all('1 1'))
  })

  test('holds what several campaigns together have too much of, in one call', async () => {
    const world = await makePlanned({ leads: 2, dailyLimit: 10 })
    const other = { tenantId: world.tenantId, campaignId: uuidv7() }
    const { companyId, templateId, leadIds } = world
    await tier.db.system.campaign.create({ data: { ...name(other), companyId, name: 'Other', sendingWindow: HOURS } })
    await tier.db.system.campaignSequenceStep.create({
      data: { tenantId: world.tenantId, id: uuidv7(), campaignId: other.campaignId, stepOrder: 1, templateId },
    })
    await tier.db.system.campaignEnrollment.createMany({
      data: leadIds.map((leadId) => ({ tenantId: world.tenantId, id: uuidv7(), campaignId: other.campaignId, leadId })),
    })
    await launch(tier, other, new Date(MONDAY))
    await planAll(tier, other)
    await sql('UPDATE email_accounts SET daily_limit = 3 WHERE tenant_id = $1', [world.tenantId])
    const mails = await mailsOf(tier, world.tenantId)
    setNow(mails.at(-1)?.scheduledAt as Date)
    const begun = await beginAll(
      world,
      mails.map(({ id }) => id),
    )
    expect(begun.map(({ outcome }) => outcome).sort()).toEqual(['HELD', 'SEND', 'SEND', 'SEND'])
    expect(begun.find(({ outcome }) => outcome === 'HELD')).toMatchObject({ reason: 'day_full' })
  })

  test('that is full is not asked again before it is over', async () => {
    const world = await makePlanned({ leads: 6, dailyLimit: 6 })
    await sql('UPDATE email_accounts SET daily_limit = 2 WHERE tenant_id = $1', [world.tenantId])
    expect(await sendAll(tier, world.tenantId)).toBe(2)
    const calls = (await agendaOf(tier, world))?.wakeCount
    const times = async () => (await mailsOf(tier, world.tenantId)).map(({ scheduledAt }) => scheduledAt)
    const before = await times()
    const { nextPlanAt } = await planAll(tier, world)
    expect(await times()).toEqual(before)
    expect((await agendaOf(tier, world))?.wakeCount).toBe(calls)
    expect(Number(nextPlanAt)).toBeGreaterThan(Number(before.at(-1)))
    setNow('2026-11-24T09:00:00Z')
    await planAll(tier, world)
    expect(await sendAll(tier, world.tenantId)).toBe(2)
  })

  test('loses nothing by what a person wrote and is not sent', async () => {
    const world = await makePlanned({ leads: 3 })
    const [id, stepless] = [uuidv7(), uuidv7()]
    for (const one of [id, stepless]) {
      await tier.db.system.inboxMessageRef.create({
        data: {
          ...{ tenantId: world.tenantId, id: one, threadId: one, dedupKey: one, leadId: world.leadIds[0] as string },
          ...{ emailAccountId: world.mailboxIds[0] as string, direction: 'outbound', status: 'queued', isRead: true },
          ...{ toEmail: `gone@${world.domain}`, scheduledAt: new Date(MONDAY), contentStorageKey: null },
        },
      })
    }
    await finish(tier, await beginAll(world, [stepless]), 'REFUSED', '554 no')
    expect(await promisesOf(world)).toEqual(all('3 0'))
    await sql(
      `INSERT INTO suppressions (tenant_id, id, email, reason, scope) VALUES ($1, $2, $3, 'complaint', 'tenant')`,
      [world.tenantId, uuidv7(), `gone@${world.domain}`],
    )
    expect(await beginAll(world, [id])).toMatchObject([{ outcome: 'DROPPED', reason: 'suppressed' }])
    expect(await promisesOf(world)).toEqual(all('3 0'))
  })
})

const name = ({ tenantId, campaignId }: { tenantId: string; campaignId: string }) => ({ tenantId, id: campaignId })

describe('an address', () => {
  test('that was taken out of use since holds its mail, which leaves when it is fit again', async () => {
    const world = await makePlanned({ addressLimit: 10 })
    const [mail] = await mailsOf(tier, world.tenantId)
    const setStatus = (status: string) =>
      sql('UPDATE smtp_ip_addresses SET status = $2 WHERE id = $1', [world.addressId, status])
    await setStatus('quarantined')
    setNow(mail?.scheduledAt as Date)
    expect(await beginAll(world, [mail?.id])).toMatchObject([{ outcome: 'HELD', reason: 'address_stopped' }])
    const { nextPlanAt } = await planAll(tier, world)
    expect((await mailsOf(tier, world.tenantId))[0]?.queuedAt).toBeNull()
    await setStatus('warmed')
    // The planner looks once an hour.
    expect(Number(nextPlanAt) - Number(mail?.scheduledAt)).toBeLessThanOrEqual(3_700_000)
    setNow(nextPlanAt as Date)
    await planAll(tier, world)
    expect(await sendAll(tier, world.tenantId)).toBe(1)
    expect(await addressLoadOf(tier, world, '2026-11-23')).toMatchObject({ reserved: 1, sent: 1 })
  })
})

describe('the last moment', () => {
  test('is too late for a mailbox that was stopped, and for a day that has ended', async () => {
    const world = await makePlanned({ leads: 2, window: null })
    const mails = await mailsOf(tier, world.tenantId)
    setNow(mails[1]?.scheduledAt as Date)
    const begun = await beginAll(
      world,
      mails.map(({ id }) => id),
    )
    await sql("UPDATE email_accounts SET status = 'paused' WHERE tenant_id = $1", [world.tenantId])
    expect(await openWindows(tier, begun.slice(0, 1))).toEqual([false])
    await sql("UPDATE email_accounts SET status = 'active' WHERE tenant_id = $1", [world.tenantId])
    expect(await openWindows(tier, begun.slice(0, 1))).toEqual([true])
    setNow('2026-11-24T00:00:01Z')
    expect(await openWindows(tier, begun.slice(1))).toEqual([false])
  })

  test('whose outcome nobody knew is known when an answer comes: it was sent, then delivered, then answered', async () => {
    const world = await makePlanned({ addressLimit: 10 })
    const [mail] = await mailsOf(tier, world.tenantId)
    setNow(mail?.scheduledAt as Date)
    const begun = await beginAll(world, [mail?.id])
    await openWindows(tier, begun)
    expect(await beginAll(world, [mail?.id], true)).toMatchObject([{ outcome: 'UNKNOWN' }])
    const opened = (await mailsOf(tier, world.tenantId))[0]?.acceptWindowAt
    await ingest(tier, world, answer(world, mail))
    expect((await mailsOf(tier, world.tenantId))[0]).toMatchObject({
      ...{ status: 'replied', sentAt: opened, failedAt: null, failureReason: null },
    })
    const told = (await tier.announced(world.tenantId)).filter(
      ({ aggregateId, eventType }) => aggregateId === mail?.id && eventType.startsWith('email.'),
    )
    expect(told.map(({ eventType }) => eventType)).toEqual(['email.sent', 'email.delivered', 'email.replied'])
    expect(told[0]?.payload).toMatchObject({ occurredAt: opened?.toISOString(), smtpIpAddressId: world.addressId })
    expect(await finish(tier, begun)).toMatchObject([{ stale: true }])
    expect(await addressLoadOf(tier, world, '2026-11-23')).toMatchObject({ reserved: 1, sent: 1 })
  })
})
