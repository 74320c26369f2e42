import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { setClock } from '#platform/clock.ts'
import { type OltpTier, startOltpTier, userOf } from './oltpTier.ts'
import {
  type Begun,
  begin,
  budgetsOf,
  enrollmentsOf,
  finish,
  launch,
  mailsOf,
  makeSendingWorld,
  openWindows,
  planAll,
  type SendingWorld,
  sendAll,
  setNow,
  WORKER,
  type WorldParts,
} from './sendingWorld.ts'

let tier: OltpTier
beforeAll(async () => {
  tier = await startOltpTier({ content: true })
})
afterAll(() => tier?.stop())
afterEach(() => setClock({ speed: 1, originAt: 0 }))

const MONDAY = '2026-11-23T09:00:00.000Z'
const HOURS = { from: '09:00', to: '17:00' }

/** A world with one lead whose mail is due just now. */
async function makeDueMail(parts: WorldParts = {}) {
  setNow(MONDAY)
  const world = await makeSendingWorld(tier, { leads: 1, mailboxes: 1, window: HOURS, ...parts })
  await launch(tier, world, new Date(MONDAY))
  await planAll(tier, world)
  const [mail] = await mailsOf(tier, world.tenantId)
  setNow(mail?.scheduledAt as Date)
  return { world, id: mail?.id as string, scheduledAt: mail?.scheduledAt as Date }
}

const mailOf = async ({ tenantId }: SendingWorld) => (await mailsOf(tier, tenantId))[0]
const beginOne = async (world: SendingWorld, id: string, isRepeat = false) =>
  (await begin(tier, world.tenantId, [id], isRepeat))[0] as Begun
const dueOf = async (world: SendingWorld, id: string) =>
  (await tier.announced(world.tenantId)).filter(
    ({ eventType, aggregateId }) => eventType === 'mail.due' && aggregateId === id,
  )
const notificationsOf = async ({ tenantId }: SendingWorld) =>
  (await tier.announced(tenantId))
    .filter(({ eventType }) => eventType === 'notification.requested')
    .map(({ payload }) => (payload as { type: string }).type)

describe('a worker that dies', () => {
  test('before the accept window costs nothing: the next one takes over, and the dead one can do no more', async () => {
    const { world, id } = await makeDueMail()
    const first = await beginOne(world, id)
    expect(first).toMatchObject({ outcome: 'SEND', attempt: 1 })
    expect(await beginOne(world, id)).toMatchObject({ outcome: 'BUSY' })
    const second = await beginOne(world, id, true)
    expect(second).toMatchObject({ outcome: 'SEND', attempt: 2 })
    // It was not dead after all.
    expect(await openWindows(tier, [first])).toEqual([false])
    expect(await finish(tier, [first])).toMatchObject([{ stale: true }])
    expect(await openWindows(tier, [second])).toEqual([true])
    expect(await openWindows(tier, [second])).toEqual([false])
    expect(await finish(tier, [second])).toMatchObject([{ status: 'sent', stale: false }])
    expect(await finish(tier, [second])).toMatchObject([{ stale: true }])
    expect(await beginOne(world, id, true)).toMatchObject({ outcome: 'DONE' })
    expect((await budgetsOf(tier, world.tenantId)).map(({ reserved, sent }) => [reserved, sent])).toEqual(
      Array(4).fill([1, 1]),
    )
  })

  test('in the accept window leaves a mail that is reported and never sent again; its lead goes on', async () => {
    const { world, id } = await makeDueMail({ steps: [{}, { waitHours: 24 }] })
    const first = await beginOne(world, id)
    await openWindows(tier, [first])
    expect(await beginOne(world, id, true)).toMatchObject({ outcome: 'UNKNOWN' })
    expect(await mailOf(world)).toMatchObject({ status: 'failed', failureReason: 'outcome_unknown', sentAt: null })
    expect(await notificationsOf(world)).toEqual(['mail_outcome_unknown'])
    expect(await beginOne(world, id, true)).toMatchObject({ outcome: 'DONE' })
    const [enrollment] = await enrollmentsOf(tier, world.tenantId)
    const opened = (await mailOf(world))?.acceptWindowAt as Date
    expect(enrollment).toMatchObject({ status: 'active', nextRunAt: new Date(opened.getTime() + 24 * 3_600_000) })
    // Who was only slow knows better than who gave it up.
    expect(await finish(tier, [first])).toMatchObject([{ status: 'sent', stale: false }])
    expect(await mailOf(world)).toMatchObject({ status: 'sent', failureReason: null, failedAt: null })
  })

  test('and whose job is lost too is found by the sweep, by the same rule', async () => {
    const [before, within] = [await makeDueMail(), await makeDueMail()]
    setNow(before.scheduledAt)
    await beginOne(before.world, before.id)
    setNow(within.scheduledAt)
    await openWindows(tier, [await beginOne(within.world, within.id)])
    setNow(new Date(Math.max(before.scheduledAt.getTime(), within.scheduledAt.getTime()) + 16 * 60_000))
    const { data } = await tier.ask('mutation { settleStuckMail }', {}, WORKER)
    expect(data.settleStuckMail).toBe(2)
    expect(await mailOf(before.world)).toMatchObject({ status: 'queued', sendAttempts: 1 })
    expect(await dueOf(before.world, before.id)).toHaveLength(2)
    expect(await beginOne(before.world, before.id)).toMatchObject({ outcome: 'SEND', attempt: 2 })
    expect(await mailOf(within.world)).toMatchObject({ status: 'failed', failureReason: 'outcome_unknown' })
    expect(
      (await tier.ask('mutation { settleStuckMail }', {}, userOf(before.world.tenantId))).errors?.[0]?.extensions.code,
    ).toBe('FORBIDDEN')
  })
})

describe('the other server', () => {
  test('that says not now is asked again, later and later; what was counted is given back', async () => {
    const { world, id, scheduledAt } = await makeDueMail()
    await finish(tier, [await beginOne(world, id)], 'DEFERRED', '451 4.7.1 greylisted, come back later')
    const first = await mailOf(world)
    expect(first).toMatchObject({
      status: 'queued',
      smtpResponse: '451 4.7.1 greylisted, come back later',
      sendAttempts: 1,
    })
    expect((first?.scheduledAt?.getTime() ?? 0) - scheduledAt.getTime()).toBeGreaterThanOrEqual(5 * 60_000)
    expect(await dueOf(world, id)).toHaveLength(2)
    expect((await budgetsOf(tier, world.tenantId)).map(({ reserved, sent }) => [reserved, sent])).toEqual(
      Array(4).fill([1, 0]),
    )

    setNow(first?.scheduledAt as Date)
    await finish(tier, [await beginOne(world, id)], 'UNREACHABLE', 'connect ECONNREFUSED')
    const second = await mailOf(world)
    setNow(second?.scheduledAt as Date)
    await finish(tier, [await beginOne(world, id)])
    expect(await mailOf(world)).toMatchObject({ status: 'sent', sendAttempts: 3 })
  })

  test('that is away for days has its mail given up, with the reason, and its lead stopped', async () => {
    const { world, id } = await makeDueMail()
    await tier.db.systemSql.query('UPDATE inbox_message_refs SET created_at = $2 WHERE id = $1', [
      id,
      '2026-11-18T00:00:00Z',
    ])
    await finish(tier, [await beginOne(world, id)], 'UNREACHABLE', 'connect ETIMEDOUT')
    expect(await mailOf(world)).toMatchObject({
      status: 'failed',
      failureReason: 'given up: unreachable: connect ETIMEDOUT',
    })
    expect((await enrollmentsOf(tier, world.tenantId))[0]).toMatchObject({
      status: 'stopped',
      stopReason: expect.stringContaining('given up'),
    })
  })

  test('that knows no such address makes a hard bounce: an event, a suppression, the end of the lead', async () => {
    const { world, id } = await makeDueMail({ steps: [{}, {}] })
    await finish(tier, [await beginOne(world, id)], 'MAILBOX_UNKNOWN', '550 5.1.1 no such user')
    expect(await mailOf(world)).toMatchObject({ status: 'bounced', bounceType: 'hard', sentAt: null })
    const bounced = (await tier.announced(world.tenantId)).filter(({ eventType }) => eventType === 'email.bounced')
    expect(bounced).toMatchObject([{ aggregateId: id, payload: { bounceType: 'hard', stepId: world.stepIds[0] } }])
    expect(await tier.db.system.suppression.findMany({ where: { tenantId: world.tenantId } })).toMatchObject([
      { reason: 'bounce', sourceMessageId: id, email: expect.stringContaining('lead0@') },
    ])
    expect((await enrollmentsOf(tier, world.tenantId))[0]).toMatchObject({ status: 'bounced' })
  })

  test('that refuses the mail for another reason fails it, and stops its lead without suppressing it', async () => {
    const { world, id } = await makeDueMail()
    await finish(tier, [await beginOne(world, id)], 'REFUSED', '554 5.7.1 spam')
    expect(await mailOf(world)).toMatchObject({ status: 'failed', failureReason: 'refused: 554 5.7.1 spam' })
    expect((await enrollmentsOf(tier, world.tenantId))[0]).toMatchObject({
      status: 'stopped',
      stopReason: 'refused: 554 5.7.1 spam',
    })
    expect(await tier.db.system.suppression.count({ where: { tenantId: world.tenantId } })).toBe(0)
  })

  test('that does not accept our password has the mailbox disconnected, told once; its mail waits for it', async () => {
    setNow(MONDAY)
    const world = await makeSendingWorld(tier, { leads: 3, mailboxes: 1, window: HOURS })
    await launch(tier, world, new Date(MONDAY))
    await planAll(tier, world)
    const mails = await mailsOf(tier, world.tenantId)
    setNow(mails[2]?.scheduledAt as Date)
    const begun = await begin(
      tier,
      world.tenantId,
      mails.slice(0, 2).map(({ id }) => id),
    )
    await finish(tier, begun, 'AUTH_FAILED', '535 5.7.8 wrong password')
    const mailbox = await tier.db.system.emailAccount.findFirst({ where: { tenantId: world.tenantId } })
    expect(mailbox).toMatchObject({ status: 'disconnected', pausedReason: expect.stringContaining('535 5.7.8') })
    expect(await notificationsOf(world)).toEqual(['mailbox_disconnected'])
    expect(await begin(tier, world.tenantId, [mails[2]?.id as string])).toMatchObject([
      { outcome: 'HELD', reason: 'mailbox_paused' },
    ])
    expect((await mailsOf(tier, world.tenantId)).map(({ status }) => status)).toEqual(['queued', 'queued', 'queued'])

    await tier.db.systemSql.query(`UPDATE email_accounts SET status = 'active' WHERE tenant_id = $1`, [world.tenantId])
    await planAll(tier, world)
    expect(await sendAll(tier, world.tenantId)).toBe(3)
  })
})

describe('mail that was to leave and could not', () => {
  test('because its campaign was paused waits, and leaves when it goes on, spread anew', async () => {
    setNow(MONDAY)
    const world = await makeSendingWorld(tier, { leads: 6, mailboxes: 1, window: HOURS })
    await launch(tier, world, new Date(MONDAY))
    await planAll(tier, world)
    const mails = await mailsOf(tier, world.tenantId)
    setNow(mails[0]?.scheduledAt as Date)
    const taken = await beginOne(world, mails[0]?.id as string)
    const setStatus = (status: string) =>
      tier.db.systemSql.query('UPDATE campaigns SET status = $2 WHERE id = $1', [world.campaignId, status])
    await setStatus('paused')
    // It had been taken up: it is not too late.
    expect(await openWindows(tier, [taken])).toEqual([false])
    await finish(tier, [taken], 'ABORTED')
    setNow('2026-11-23T12:00:00Z')
    for (const { outcome, reason } of await begin(
      tier,
      world.tenantId,
      mails.map(({ id }) => id),
    )) {
      expect([outcome, reason]).toEqual(['HELD', 'campaign_not_sending'])
    }
    expect((await planAll(tier, world)).planned).toBe(0)
    await setStatus('sending')
    setNow('2026-11-23T14:00:00Z')
    await planAll(tier, world)
    const again = await mailsOf(tier, world.tenantId)
    for (const { scheduledAt } of again)
      expect(scheduledAt && scheduledAt >= new Date('2026-11-23T14:00:00Z')).toBe(true)
    expect(new Set(again.map(({ scheduledAt }) => scheduledAt?.getTime())).size).toBe(6)
    expect(await sendAll(tier, world.tenantId)).toBe(6)
    expect((await mailsOf(tier, world.tenantId)).map(({ status }) => status)).toEqual(Array(6).fill('sent'))
  })

  test('on its day takes its promise along to the next, as far as that has room', async () => {
    setNow(MONDAY)
    const world = await makeSendingWorld(tier, {
      leads: 6,
      mailboxes: 1,
      dailyLimit: 3,
      window: HOURS,
      addressLimit: 100,
    })
    await launch(tier, world, new Date(MONDAY))
    expect((await planAll(tier, world)).planned).toBe(3)
    const mails = await mailsOf(tier, world.tenantId)
    setNow('2026-11-23T18:00:00Z')
    const late = await begin(
      tier,
      world.tenantId,
      mails.map(({ id }) => id),
    )
    expect(late.map(({ outcome, reason }) => [outcome, reason])).toEqual(Array(3).fill(['HELD', 'window']))
    setNow('2026-11-24T09:00:00Z')
    // The three of yesterday fill today: nobody new is planned.
    expect((await planAll(tier, world)).planned).toBe(0)
    const budgets = (await budgetsOf(tier, world.tenantId)).filter(({ scope }) => scope === 'mailbox')
    expect(budgets.map(({ day, reserved }) => [day.toISOString().slice(0, 10), reserved])).toEqual([
      ['2026-11-23', 0],
      ['2026-11-24', 3],
    ])
    expect(await sendAll(tier, world.tenantId)).toBe(3)
    setNow('2026-11-25T09:00:00Z')
    expect((await planAll(tier, world)).planned).toBe(3)
  })

  test('because a limit was lowered since it was planned waits for a day with room', async () => {
    setNow(MONDAY)
    const world = await makeSendingWorld(tier, { leads: 6, mailboxes: 1, dailyLimit: 6, window: HOURS })
    await launch(tier, world, new Date(MONDAY))
    await planAll(tier, world)
    await tier.db.systemSql.query('UPDATE email_accounts SET daily_limit = 2 WHERE tenant_id = $1', [world.tenantId])
    expect(await sendAll(tier, world.tenantId)).toBe(2)
    for (const day of ['24', '25']) {
      setNow(`2026-11-${day}T09:00:00Z`)
      await planAll(tier, world)
      expect(await sendAll(tier, world.tenantId)).toBe(2)
    }
    expect((await mailsOf(tier, world.tenantId)).map(({ status }) => status)).toEqual(Array(6).fill('sent'))
  })
})

test('a lead that answers between being taken up and the text gets no mail', async () => {
  const { world, id } = await makeDueMail()
  const begun = await beginOne(world, id)
  await tier.db.systemSql.query(
    `UPDATE campaign_enrollments SET status = 'replied', version = version + 1 WHERE tenant_id = $1`,
    [world.tenantId],
  )
  expect(await openWindows(tier, [begun])).toEqual([false])
  await finish(tier, [begun], 'ABORTED')
  expect(await beginOne(world, id)).toMatchObject({ outcome: 'DROPPED', reason: 'replied' })
  expect(await mailOf(world)).toMatchObject({ status: 'failed', failureReason: 'replied', sentAt: null })
})

describe('sendDecision', () => {
  const DECISION = `query ($messageId: ID, $enrollmentId: ID) { sendDecision(messageId: $messageId, enrollmentId: $enrollmentId) {
    isAllowed limit explanation earliestAt } }`
  const ask = async (world: SendingWorld, asked: { messageId?: string; enrollmentId?: string }, as = world) => {
    const { data, errors } = await tier.ask(DECISION, asked, userOf(as.tenantId))
    return errors ? { code: errors[0]?.extensions.code } : data.sendDecision
  }

  test('says of a mail what it waits for and until when', async () => {
    setNow(MONDAY)
    const world = await makeSendingWorld(tier, { leads: 2, mailboxes: 1, window: HOURS })
    await launch(tier, world, new Date(MONDAY))
    await planAll(tier, world)
    const [, second] = await mailsOf(tier, world.tenantId)
    const messageId = second?.id as string
    expect(await ask(world, { messageId })).toMatchObject({
      isAllowed: false,
      limit: 'SLOT',
      earliestAt: second?.scheduledAt?.toISOString(),
    })
    setNow(second?.scheduledAt as Date)
    expect(await ask(world, { messageId })).toMatchObject({ isAllowed: true, limit: null })
    setNow('2026-11-23T18:00:00Z')
    expect(await ask(world, { messageId })).toMatchObject({ limit: 'WINDOW', earliestAt: '2026-11-24T09:00:00.000Z' })
    await tier.db.systemSql.query(
      `UPDATE campaigns SET status = 'paused', paused_reason = 'too many bounces' WHERE id = $1`,
      [world.campaignId],
    )
    expect(await ask(world, { messageId })).toMatchObject({
      limit: 'CAMPAIGN_NOT_SENDING',
      explanation: expect.stringContaining('too many bounces'),
    })
    const rival = await makeSendingWorld(tier, { leads: 1 })
    expect(await ask(world, { messageId }, rival)).toBeNull()
    expect(await ask(world, { enrollmentId: world.enrollmentIds[0] as string }, rival)).toBeNull()
  })

  test('says of a lead which limit binds', async () => {
    const cases: [WorldParts, string][] = [
      [{ dailyLimit: 1 }, 'MAILBOX_CAP'],
      [{ dailyCap: 1 }, 'CAMPAIGN_CAP'],
      [{ addressLimit: 1 }, 'ADDRESS_CAP'],
    ]
    for (const [parts, limit] of cases) {
      setNow(MONDAY)
      const world = await makeSendingWorld(tier, { leads: 2, mailboxes: 1, window: HOURS, ...parts })
      await launch(tier, world, new Date(MONDAY))
      await planAll(tier, world)
      const planned = (await mailsOf(tier, world.tenantId)).map(({ enrollmentId }) => enrollmentId)
      const enrollmentId = world.enrollmentIds.find((id) => !planned.includes(id)) as string
      expect(await ask(world, { enrollmentId })).toMatchObject({
        isAllowed: false,
        limit,
        earliestAt: '2026-11-24T09:00:00.000Z',
      })
    }
  })

  test('says when a step is due, that a lead has ended, and what asks wrongly', async () => {
    const { world, id } = await makeDueMail({ steps: [{}, { waitHours: 48 }] })
    await finish(tier, [await beginOne(world, id)])
    const enrollmentId = world.enrollmentIds[0] as string
    expect(await ask(world, { enrollmentId })).toMatchObject({ limit: 'STEP_WAIT' })
    await tier.db.systemSql.query(`UPDATE campaign_enrollments SET status = 'replied' WHERE tenant_id = $1`, [
      world.tenantId,
    ])
    expect(await ask(world, { enrollmentId })).toMatchObject({
      limit: 'ENDED',
      explanation: expect.stringContaining('replied'),
    })
    expect(await ask(world, { messageId: id })).toMatchObject({
      limit: 'ENDED',
      explanation: expect.stringContaining('sent'),
    })
    expect(await ask(world, { messageId: id, enrollmentId })).toEqual({ code: 'INVALID_INPUT' })
    expect(await ask(world, {})).toBeNull()
  })
})

test('only workers plan, begin and finish', async () => {
  const { world, id } = await makeDueMail()
  const inputs = [
    [
      'mutation ($i: PlanCampaignSendsInput!) { planCampaignSends(input: $i) { planned } }',
      { tenantId: world.tenantId, campaignId: world.campaignId },
    ],
    [
      'mutation ($i: BeginSendingInput!) { beginSending(input: $i) { outcome } }',
      { mails: [{ tenantId: world.tenantId, messageId: id }] },
    ],
    ['mutation ($i: OpenAcceptWindowsInput!) { openAcceptWindows(input: $i) }', { attempts: [] }],
    ['mutation ($i: FinishSendingInput!) { finishSending(input: $i) { status } }', { mails: [] }],
  ] as const
  for (const [mutation, i] of inputs) {
    const answer = await tier.ask(mutation, { i }, userOf(world.tenantId))
    expect(answer.errors?.[0]?.extensions.code).toBe('FORBIDDEN')
  }
})
