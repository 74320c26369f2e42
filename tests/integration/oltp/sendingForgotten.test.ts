import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { v7 as uuidv7 } from 'uuid'
import { setClock } from '#platform/clock.ts'
import { runAsTenant } from '#platform/database/tenantScope.ts'
import { wakeCampaign } from '../../../subgraphs/oltp/services/sending/agenda.ts'
import { enrollLeads } from '../../../subgraphs/oltp/services/sending/enroll.ts'
import { transact } from '../../../subgraphs/oltp/services/sending/transact.ts'
import { makeAsk } from './asking.ts'
import { type OltpTier, startOltpTier } from './oltpTier.ts'
import {
  agendaOf,
  type Begun,
  begin,
  budgetsOf,
  enrollmentsOf,
  finish,
  launch,
  mailsOf,
  makeSendingWorld,
  openWindows,
  plan,
  planAll,
  type SendingWorld,
  sendAll,
  setNow,
  WORKER,
} from './sendingWorld.ts'

let tier: OltpTier
beforeAll(async () => {
  tier = await startOltpTier({ content: true })
})
afterAll(() => tier?.stop())
afterEach(() => setClock({ speed: 1, originAt: 0 }))

const MONDAY = '2026-11-23T09:00:00.000Z'
const HOURS = { from: '09:00', to: '17:00' }

async function makePlanned(parts: Parameters<typeof makeSendingWorld>[1] = {}) {
  setNow(MONDAY)
  const world = await makeSendingWorld(tier, { leads: 1, mailboxes: 1, window: HOURS, ...parts })
  await launch(tier, world, new Date(MONDAY))
  await planAll(tier, world)
  return world
}

const beginOne = async (world: SendingWorld, id: string | undefined, isRepeat = false, jobId: string | null = null) =>
  (await begin(tier, world.tenantId, [id as string], isRepeat, jobId))[0] as Begun
const sql = (text: string, values: unknown[]) => tier.db.systemSql.query(text, values)
const campaignOf = ({ campaignId }: SendingWorld) =>
  tier.db.system.campaign.findFirstOrThrow({ where: { id: campaignId } })
const ask = makeAsk(
  () => tier,
  () => {
    throw new Error('name a workspace')
  },
)
const deleteMailbox = (emailAccountId: string | undefined, world: SendingWorld) =>
  ask(
    'mutation ($input: DeleteEmailAccountInput!) { deleteEmailAccount(input: $input) { id } }',
    { input: { emailAccountId } },
    world,
    'owner',
  )

describe('a mailbox that is deleted', () => {
  test('leaves no lead behind: mail that waited for it leaves from another one, once, and its promises are given back', async () => {
    const world = await makePlanned({ leads: 4, mailboxes: 2, steps: [{}, { waitHours: 1 }], addressLimit: 100 })
    const [gone, stays] = world.mailboxIds
    const waiting = (await mailsOf(tier, world.tenantId)).filter(({ emailAccountId }) => emailAccountId === gone)
    await sql("UPDATE email_accounts SET status = 'disconnected' WHERE id = $1", [gone])
    setNow(waiting.at(-1)?.scheduledAt as Date)
    for (const { id } of waiting) expect(await beginOne(world, id)).toMatchObject({ outcome: 'HELD' })

    const rival = await makeSendingWorld(tier, { leads: 1 })
    expect(await deleteMailbox(gone, rival)).toMatchObject({ code: 'NOT_FOUND' })
    expect(await deleteMailbox(gone, world)).toMatchObject({ code: undefined })
    const { rows: loads } = await sql(
      'SELECT sum(reserved)::int AS reserved FROM smtp_ip_loads WHERE smtp_ip_address_id = $1',
      [world.addressId],
    )
    expect(loads).toEqual([{ reserved: 2 }])
    const budgets = await budgetsOf(tier, world.tenantId)
    expect(budgets.find(({ scopeId }) => scopeId === gone)).toMatchObject({ reserved: 0 })
    expect(budgets.find(({ scope }) => scope === 'campaign')).toMatchObject({ reserved: 2 })

    expect((await planAll(tier, world)).planned).toBe(2)
    await sendAll(tier, world.tenantId)
    setNow('2026-11-24T10:00:00Z')
    await planAll(tier, world)
    await sendAll(tier, world.tenantId)
    await planAll(tier, world)
    const sent = (await mailsOf(tier, world.tenantId)).filter(({ status }) => status === 'sent')
    expect(new Set(sent.map(({ leadId, stepId }) => `${leadId} ${stepId}`)).size).toBe(8)
    expect(sent).toHaveLength(8)
    expect(sent.every(({ emailAccountId }) => emailAccountId === stays)).toBe(true)
    expect((await campaignOf(world)).status).toBe('completed')
  })

  test('has mail that came back to it later written by another one too, with the same step', async () => {
    const world = await makePlanned({ leads: 2, mailboxes: 2, steps: [{}, {}] })
    const [first, second] = await mailsOf(tier, world.tenantId)
    setNow(second?.scheduledAt as Date)
    await sql('UPDATE email_accounts SET deleted_at = $2 WHERE id = $1', [first?.emailAccountId, MONDAY])
    // One whose job comes, and one that waits for the planner.
    expect(await beginOne(world, first?.id)).toMatchObject({ outcome: 'DROPPED', reason: 'mailbox deleted' })
    await sql('UPDATE email_accounts SET deleted_at = $2 WHERE id = $1', [second?.emailAccountId, MONDAY])
    await sql('UPDATE inbox_message_refs SET queued_at = NULL WHERE id = $1', [second?.id])
    await sql('UPDATE email_accounts SET deleted_at = NULL WHERE id = $1', [first?.emailAccountId])
    expect((await planAll(tier, world)).planned).toBe(2)
    const queued = (await mailsOf(tier, world.tenantId)).filter(({ status }) => status === 'queued')
    expect(queued.map(({ stepId, emailAccountId }) => [stepId, emailAccountId])).toEqual(
      Array(2).fill([world.stepIds[0], first?.emailAccountId]),
    )
    expect((await budgetsOf(tier, world.tenantId)).find(({ scope }) => scope === 'campaign')).toMatchObject({
      reserved: 2,
    })
  })
})

describe('who calls the planner while it plans', () => {
  test('is heard: leads that join behind its back are planned in the same go', async () => {
    setNow(MONDAY)
    const world = await makeSendingWorld(tier, { leads: 502, mailboxes: 4, dailyLimit: 200, domains: 2 })
    const late = world.enrollmentIds[0]
    await launch(tier, world, new Date(MONDAY))
    await sql('UPDATE campaign_enrollments SET next_run_at = NULL WHERE id = $1', [late])
    const { cursor } = await plan(tier, world)
    expect(cursor).not.toBeNull()
    await runAsTenant(world.tenantId, () =>
      transact({ db: tier.db, requestId: 'test' }, async (tx) => {
        // Before all that the cursor has passed.
        await tx.query('UPDATE campaign_enrollments SET next_run_at = $2 WHERE id = $1', [late, '2026-11-23T08:00:00Z'])
        wakeCampaign(tx, world.campaignId, new Date(MONDAY))
      }),
    )
    let next = cursor
    while (next !== null) next = (await plan(tier, world, next)).cursor
    const mails = await mailsOf(tier, world.tenantId)
    expect(mails.filter(({ enrollmentId }) => enrollmentId === late)).toHaveLength(1)
    expect((await agendaOf(tier, world))?.nextPlanAt?.getTime()).toBeGreaterThan(Date.parse(MONDAY) + 60_000)
  })

  test('is heard whenever it is: of leads that join one by one none is left when the planner rests', async () => {
    setNow(MONDAY)
    const world = await makeSendingWorld(tier, { leads: 40, mailboxes: 4, window: HOURS })
    await tier.db.systemSql.query('DELETE FROM campaign_enrollments WHERE tenant_id = $1', [world.tenantId])
    await launch(tier, world, new Date(MONDAY))
    const rival = await makeSendingWorld(tier, { leads: 1 })
    // A lead that stays keeps the campaign from being completed meanwhile.
    const keeper = world.leadIds.pop() as string
    await tier.db.system.campaignEnrollment.create({
      data: { tenantId: world.tenantId, id: uuidv7(), campaignId: world.campaignId, leadId: keeper },
    })
    let joining = true
    const join = async () => {
      for (const leadId of world.leadIds) {
        await runAsTenant(world.tenantId, () =>
          transact({ db: tier.db, requestId: 'test' }, async (tx) => {
            const at = new Date(MONDAY)
            await enrollLeads(tx, world.campaignId, [leadId], { dueAt: at, at })
            wakeCampaign(tx, world.campaignId, at)
            wakeCampaign(tx, rival.campaignId, at)
          }),
        )
      }
      joining = false
    }
    // The planner runs when the agenda says so, and only then.
    const work = async () => {
      for (;;) {
        const wasJoining = joining
        const nextPlanAt = (await agendaOf(tier, world))?.nextPlanAt
        if (nextPlanAt && nextPlanAt <= new Date(Date.parse(MONDAY) + 60_000)) await planAll(tier, world)
        else if (!wasJoining) return
      }
    }
    await Promise.all([join(), work()])
    expect(await mailsOf(tier, world.tenantId)).toHaveLength(world.leadIds.length)
    // Nobody calls for another tenant's campaign.
    expect(await agendaOf(tier, rival)).toBeNull()
  })

  test('leaves the agenda of a campaign that does not send alone; it heads no list any more', async () => {
    const world = await makePlanned()
    await sql("UPDATE campaigns SET status = 'paused' WHERE id = $1", [world.campaignId])
    await sql('UPDATE campaign_agenda SET next_plan_at = $2 WHERE campaign_id = $1', [world.campaignId, MONDAY])
    const announce = async () => (await tier.ask('mutation { announceDuePlans }', {}, WORKER)).data.announceDuePlans
    expect(await announce()).toBe(1)
    await planAll(tier, world)
    expect(await agendaOf(tier, world)).toMatchObject({ nextPlanAt: null })
    expect(await announce()).toBe(0)
  })

  test('finds nothing more to look at when the campaign has no room left today', async () => {
    setNow(MONDAY)
    const world = await makeSendingWorld(tier, { leads: 600, mailboxes: 1, dailyCap: 5, window: HOURS })
    await launch(tier, world, new Date(MONDAY))
    expect(await plan(tier, world)).toMatchObject({ planned: 5, cursor: null })
    expect(await plan(tier, world)).toMatchObject({ planned: 0, cursor: null })
  })
})

describe('a lead', () => {
  test('whose old address is refused while it has another one by now goes no further, and its campaign ends', async () => {
    const world = await makePlanned({ steps: [{}, {}] })
    const [mail] = await mailsOf(tier, world.tenantId)
    setNow(mail?.scheduledAt as Date)
    const begun = await beginOne(world, mail?.id)
    await sql('UPDATE leads SET email = $2 WHERE id = $1', [world.leadIds[0], `new@${world.domain}.example`])
    await finish(tier, [begun], 'MAILBOX_UNKNOWN', '550 5.1.1 no such user')
    expect(await enrollmentsOf(tier, world.tenantId)).toMatchObject([
      { status: 'bounced', stopReason: 'bounced', nextRunAt: null },
    ])
    await planAll(tier, world)
    expect((await campaignOf(world)).status).toBe('completed')
  })

  test('is not completed by an acceptance that is told late, with its next mail on its way', async () => {
    const world = await makePlanned({ steps: [{}, {}] })
    const [mail] = await mailsOf(tier, world.tenantId)
    setNow(mail?.scheduledAt as Date)
    const slow = await beginOne(world, mail?.id)
    await openWindows(tier, [slow])
    expect(await beginOne(world, mail?.id, true)).toMatchObject({ outcome: 'UNKNOWN' })
    expect((await planAll(tier, world)).planned).toBe(1)
    expect(await finish(tier, [slow])).toMatchObject([{ status: 'sent', stale: false }])
    expect(await enrollmentsOf(tier, world.tenantId)).toMatchObject([{ status: 'active', currentStepOrder: 2 }])
    expect(await sendAll(tier, world.tenantId)).toBe(1)
    expect((await mailsOf(tier, world.tenantId)).map(({ status }) => status)).toEqual(['sent', 'sent'])
  })
})

test('another job of a mail, tried again as often as you like, does not take it from the one that sends it', async () => {
  const world = await makePlanned()
  const [mail] = await mailsOf(tier, world.tenantId)
  const [own, other] = [uuidv7(), uuidv7()]
  setNow(mail?.scheduledAt as Date)
  const begun = await beginOne(world, mail?.id, false, own)
  await openWindows(tier, [begun])
  expect(await beginOne(world, mail?.id, true, other)).toMatchObject({ outcome: 'BUSY' })
  expect(await finish(tier, [begun])).toMatchObject([{ status: 'sent' }])
  const again = await makePlanned()
  const [second] = await mailsOf(tier, again.tenantId)
  setNow(second?.scheduledAt as Date)
  await beginOne(again, second?.id, false, own)
  expect(await beginOne(again, second?.id, true, own)).toMatchObject({ outcome: 'SEND', attempt: 2 })
})

test('a mail that is put off beyond its span waits until then, on the day that it is promised of then', async () => {
  const world = await makePlanned({ addressLimit: 10 })
  const [mail] = await mailsOf(tier, world.tenantId)
  const late = '2026-11-23T16:58:00.000Z'
  await sql('UPDATE inbox_message_refs SET scheduled_at = $2, send_attempts = 8 WHERE id = $1', [mail?.id, late])
  setNow(late)
  await finish(tier, [await beginOne(world, mail?.id)], 'DEFERRED', '451 later')
  const [held] = await mailsOf(tier, world.tenantId)
  const from = held?.scheduledAt as Date
  expect(held).toMatchObject({ status: 'queued', queuedAt: null })
  expect(from.getTime()).toBeGreaterThan(Date.parse('2026-11-23T20:50:00Z'))
  setNow('2026-11-24T09:00:00Z')
  await planAll(tier, world)
  expect((await mailsOf(tier, world.tenantId))[0]?.scheduledAt?.getTime()).toBeGreaterThanOrEqual(
    Date.parse('2026-11-24T09:00:00Z'),
  )
  expect(await sendAll(tier, world.tenantId)).toBe(1)
})

test('one mailbox that is full hides no other whose mail waits behind', async () => {
  const world = await makePlanned({ leads: 2, mailboxes: 2 })
  const [full, free] = world.mailboxIds
  await sql('UPDATE email_accounts SET daily_limit = 0 WHERE id = $1', [full])
  await sql(`UPDATE inbox_message_refs SET queued_at = NULL WHERE tenant_id = $1`, [world.tenantId])
  await sql(
    `INSERT INTO inbox_message_refs (tenant_id, id, email_account_id, campaign_id, thread_id, dedup_key, direction, status,
       is_read, scheduled_at)
     SELECT $1, id, $2, $3, id, id::text, 'outbound', 'queued', true, $4::timestamptz - interval '1 day'
     FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, 520)) AS made`,
    [world.tenantId, full, world.campaignId, MONDAY],
  )
  setNow('2026-11-24T10:00:00Z')
  await planAll(tier, world)
  const mails = await mailsOf(tier, world.tenantId)
  const times = mails.filter(({ emailAccountId }) => emailAccountId === free).map(({ scheduledAt }) => scheduledAt)
  expect(times).toEqual([expect.any(Date)])
  expect(times[0]?.getTime()).toBeGreaterThanOrEqual(Date.parse('2026-11-24T10:00:00Z'))
  expect(mails.filter(({ queuedAt }) => queuedAt === null)).toHaveLength(521)
})

test('what a person wrote from a mailbox whose domain is not verified is not announced again and again', async () => {
  setNow(MONDAY)
  const world = await makeSendingWorld(tier, { leads: 1, mailboxes: 1 })
  const id = uuidv7()
  await tier.db.system.inboxMessageRef.create({
    data: {
      ...{ tenantId: world.tenantId, id, threadId: id, dedupKey: id, emailAccountId: world.mailboxIds[0] as string },
      ...{ direction: 'outbound', status: 'queued', isRead: true, scheduledAt: new Date('2026-11-23T08:00:00Z') },
    },
  })
  const settle = async () => (await tier.ask('mutation { settleStuckMail }', {}, WORKER)).data.settleStuckMail
  await sql("UPDATE domains SET verification_status = 'failed' WHERE tenant_id = $1", [world.tenantId])
  expect(await settle()).toBe(0)
  await sql("UPDATE domains SET verification_status = 'verified' WHERE tenant_id = $1", [world.tenantId])
  expect(await settle()).toBe(1)
})
