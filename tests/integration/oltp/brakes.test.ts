import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { v7 as uuidv7 } from 'uuid'
import { runAsTenant } from '#platform/database/tenantScope.ts'
import { applyBrakes, holdBrakes } from '../../../subgraphs/oltp/services/brakes/brakes.ts'
import { transact } from '../../../subgraphs/oltp/services/sending/transact.ts'
import { makeBounce, makeComplaint } from '../../support/mails.ts'
import { ingest, messageIdOf, queueMails } from './inboxMails.ts'
import { type OltpTier, SERVICE, startOltpTier, userOf } from './oltpTier.ts'
import { foundTenant, type Workspace } from './workspace.ts'

let tier: OltpTier
let demo: Workspace
let rival: Workspace

beforeAll(async () => {
  tier = await startOltpTier({ content: true })
  rival = await foundTenant(tier)
})
beforeEach(async () => {
  demo = await foundTenant(tier)
})
afterAll(() => tier?.stop())

const mailbox = (workspace = demo) =>
  tier.db.system.emailAccount.findFirstOrThrow({ where: { id: workspace.mailboxId } })
const campaign = () => tier.db.system.campaign.findFirstOrThrow({ where: { id: demo.campaignId } })

const hoursAgo = (hours: number) => new Date(Date.now() - hours * 3_600_000)
const addressOf = (id: string) => `${id}@customer.example`

/** So many mails that a workspace's mailbox sent, each to somebody else; answers their ids. */
async function sendMails(
  count: number,
  workspace = demo,
  { campaignId = workspace.campaignId as string | null, hours = 2 } = {},
) {
  const { tenantId, mailboxId: emailAccountId } = workspace
  const rows = Array.from({ length: count }, () => {
    const id = uuidv7()
    const place = { tenantId, id, emailAccountId, campaignId, threadId: id, dedupKey: id, sentAt: hoursAgo(hours) }
    const names = { toEmail: addressOf(id), rfc822MessageId: messageIdOf(id, workspace) }
    return { ...place, ...names, direction: 'outbound', status: 'sent', isRead: true, createdAt: hoursAgo(hours) }
  })
  await tier.db.system.inboxMessageRef.createMany({ data: rows })
  return rows.map(({ id }) => id)
}

async function bounce(ids: string[], status = '5.1.1') {
  for (const id of ids) {
    await ingest(tier, demo, makeBounce({ original: messageIdOf(id, demo), recipient: addressOf(id), status }))
  }
}

async function complain(ids: string[]) {
  for (const id of ids) await ingest(tier, demo, makeComplaint({ original: messageIdOf(id, demo), recipient: null }))
}

/** What was announced to people and to the audit log. */
async function told() {
  const events = await tier.announced(demo.tenantId)
  return events
    .filter(({ eventType }) => !eventType.startsWith('email.') && eventType !== 'campaign.planDue')
    .map(({ eventType, payload }): Record<string, unknown> => ({ eventType, ...(payload as object) }))
}

describe('a mailbox', () => {
  test('is paused above 5 % of bounces in a day, with the reason in words; once', async () => {
    const ids = await sendMails(80, demo, { campaignId: null })
    await bounce(ids.slice(0, 4), '4.2.2')
    expect(await mailbox()).toMatchObject({ status: 'active', pausedReason: null })
    await bounce(ids.slice(4, 6), '4.2.2')
    // 5 of 80 are above 5 % already; the sixth changes nothing more.
    const pausedReason = '5 of 80 mails bounced in the last 24 hours (6.25 %, limit 5 %)'
    expect(await mailbox()).toMatchObject({ status: 'paused', pausedReason, pausedAt: expect.any(Date) })
    expect(await told()).toEqual([
      expect.objectContaining({
        eventType: 'audit.recorded',
        action: 'emailAccount.pause',
        resourceId: demo.mailboxId,
        oldValues: { status: 'active' },
        newValues: { status: 'paused', pausedReason },
      }),
      expect.objectContaining({
        eventType: 'notification.requested',
        userId: demo.userId,
        type: 'mailbox_paused',
        message: `${pausedReason}.`,
      }),
    ])
    expect((await mailbox(rival)).status).toBe('active')
  })

  test('is suspended above 10 %, also when it is paused already', async () => {
    const ids = await sendMails(40, demo, { campaignId: null })
    await bounce(ids.slice(0, 5))
    expect(await mailbox()).toMatchObject({
      status: 'suspended',
      pausedReason: '5 of 40 mails bounced in the last 24 hours (12.5 %, limit 10 %)',
    })
    expect((await told()).map(({ eventType, action, type }) => action ?? type ?? eventType)).toEqual([
      'emailAccount.pause',
      'mailbox_paused',
      'emailAccount.suspend',
      'mailbox_suspended',
    ])
  })

  test('is not stopped for one of a few, nor for what was sent and came back the day before', async () => {
    const few = await sendMails(10, demo, { campaignId: null })
    await bounce(few.slice(0, 3))
    expect((await mailbox()).status).toBe('active')
    const earlier = await sendMails(30, demo, { campaignId: null, hours: 30 })
    await tier.db.system.inboxMessageRef.updateMany({
      where: { id: { in: earlier } },
      data: { status: 'bounced', bouncedAt: hoursAgo(26), bounceType: 'soft' },
    })
    await bounce(few.slice(3, 4))
    expect((await mailbox()).status).toBe('active')
  })

  test('is paused for more than two complaints a day, or more than 0.2 %', async () => {
    const few = await sendMails(4, demo, { campaignId: null })
    await complain(few.slice(0, 2))
    expect((await mailbox()).status).toBe('active')
    await complain(few.slice(2, 3))
    expect(await mailbox()).toMatchObject({
      status: 'paused',
      pausedReason: '3 complaints in the last 24 hours (limit 2)',
    })

    demo = await foundTenant(tier)
    const many = await sendMails(600, demo, { campaignId: null })
    await complain(many.slice(0, 1))
    expect((await mailbox()).status).toBe('active')
    await complain(many.slice(1, 2))
    expect(await mailbox()).toMatchObject({
      status: 'paused',
      pausedReason: '2 of 600 mails were complained of in the last 24 hours (0.33 %, limit 0.2 %)',
    })
  })

  test('is paused as well when servers refuse addresses on the way out', async () => {
    await sendMails(30, demo, { campaignId: null })
    const mails = (await queueMails(tier, demo, [null, null])).map((messageId) => ({
      tenantId: demo.tenantId,
      messageId,
    }))
    const begin = 'mutation ($input: BeginSendingInput!) { beginSending(input: $input) { outcome } }'
    const begun = await tier.ask(begin, { input: { mails } }, SERVICE)
    expect(begun.data.beginSending).toEqual([{ outcome: 'SEND' }, { outcome: 'SEND' }])
    const finished = mails.map((mail) => ({
      ...mail,
      attempt: 1,
      outcome: 'MAILBOX_UNKNOWN',
      response: '550 5.1.1 no',
    }))
    const finish = 'mutation ($input: FinishSendingInput!) { finishSending(input: $input) { status } }'
    expect((await tier.ask(finish, { input: { mails: finished } }, SERVICE)).errors).toBeUndefined()
    const pausedReason = '2 of 32 mails bounced in the last 24 hours (6.25 %, limit 5 %)'
    expect(await mailbox()).toMatchObject({ status: 'paused', pausedReason })
  })

  test('is stopped by the second of two transactions that each have one bounce too few', async () => {
    const ids = await sendMails(39, demo, { campaignId: null })
    const message = { mailbox: { id: demo.mailboxId }, campaignId: null }
    const record = (id: string) =>
      transact({ db: tier.db, requestId: 'test' }, async (tx) => {
        const held = await holdBrakes(tx, [message])
        await tx.query(
          "UPDATE inbox_message_refs SET status = 'bounced', bounced_at = now(), bounce_type = 'hard' WHERE tenant_id = $1 AND id = $2",
          [demo.tenantId, id],
        )
        await applyBrakes(tx, held, { at: new Date(), requestId: 'test' })
      })
    await runAsTenant(demo.tenantId, () => Promise.all(ids.slice(0, 2).map(record)))
    expect(await mailbox()).toMatchObject({ status: 'paused', pausedReason: expect.stringMatching(/^2 of 39 /) })
    expect((await told()).filter(({ eventType }) => eventType === 'audit.recorded')).toHaveLength(1)
  })
})

describe('a campaign', () => {
  test('is paused above 5 % of hard bounces, and is not planned any more', async () => {
    await tier.db.system.campaignAgenda.create({
      data: { tenantId: demo.tenantId, campaignId: demo.campaignId, nextPlanAt: new Date() },
    })
    const ids = await sendMails(59)
    await tier.db.system.inboxMessageRef.updateMany({
      where: { id: { in: ids } },
      data: { sentAt: hoursAgo(100), createdAt: hoursAgo(100) },
    })
    // Enough of the mailbox's own, so that it is the campaign that has too much.
    await sendMails(200, demo, { campaignId: null })
    await bounce(ids.slice(0, 5), '4.2.2')
    await bounce(ids.slice(5, 7))
    expect((await campaign()).status).toBe('sending')
    await bounce(ids.slice(7, 9))
    const pausedReason = '3 of 59 mails bounced for good (5.08 %, limit 5 %)'
    expect(await campaign()).toMatchObject({
      ...{ status: 'paused', pausedReason, pausedAt: expect.any(Date) },
    })
    expect((await mailbox()).status).toBe('active')
    expect(await tier.db.system.campaignAgenda.findFirst({ where: { campaignId: demo.campaignId } })).toMatchObject({
      nextPlanAt: null,
    })
    expect((await told()).map(({ action, type }) => action ?? type)).toEqual(['campaign.pause', 'campaign_paused'])
  })
})

describe('reactivateEmailAccount', () => {
  const REACTIVATE = `mutation ($input: ReactivateEmailAccountInput!) {
    reactivateEmailAccount(input: $input) { emailAccount { id status pausedReason } }
  }`
  const reactivate = async (input: { emailAccountId: string; note?: string }, as = userOf(demo.tenantId)) => {
    const answer = await tier.ask(REACTIVATE, { input }, as)
    return answer.errors?.[0]?.extensions.code ?? answer.data.reactivateEmailAccount.emailAccount
  }

  test('lets a suspended mailbox go on with a note; what came back before counts no more', async () => {
    const ids = await sendMails(40, demo, { campaignId: null })
    await bounce(ids.slice(0, 5))
    expect(await reactivate({ emailAccountId: demo.mailboxId })).toBe('INVALID_INPUT')
    expect(await reactivate({ emailAccountId: demo.mailboxId, note: ' ' })).toBe('INVALID_INPUT')
    const [waiting = ''] = await queueMails(tier, demo, [null])
    const active = { id: demo.mailboxId, status: 'ACTIVE', pausedReason: null }
    expect(await reactivate({ emailAccountId: demo.mailboxId, note: 'the list was cleaned' })).toEqual(active)
    expect(await mailbox()).toMatchObject({ pausedAt: null, reviewedAt: expect.any(Date) })
    const events = await tier.announced(demo.tenantId)
    expect(events.slice(-3).map(({ eventType, aggregateId }) => [eventType, aggregateId])).toEqual(
      expect.arrayContaining([
        ['mail.due', waiting],
        ['audit.recorded', demo.mailboxId],
      ]),
    )
    expect((await told()).at(-1)).toMatchObject({ action: 'emailAccount.reactivate', notes: 'the list was cleaned' })
    await bounce(ids.slice(5, 9))
    expect((await mailbox()).status).toBe('active')
  })

  test('is for owners and admins, for mailboxes of their own that are stopped', async () => {
    expect(
      await reactivate({ emailAccountId: demo.pausedMailboxId }, userOf(demo.tenantId, { roles: ['manager'] })),
    ).toBe('FORBIDDEN')
    expect(await reactivate({ emailAccountId: demo.pausedMailboxId }, userOf(rival.tenantId))).toBe('NOT_FOUND')
    expect(await reactivate({ emailAccountId: uuidv7() })).toBe('NOT_FOUND')
    expect(await reactivate({ emailAccountId: demo.mailboxId })).toBe('CONFLICT')
    expect(await reactivate({ emailAccountId: demo.pausedMailboxId })).toMatchObject({ status: 'ACTIVE' })
  })
})
