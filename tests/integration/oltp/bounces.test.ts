import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { makeBounce, makeComplaint, makeReport } from '../../support/mails.ts'
import {
  eventsOf,
  ingest,
  leadEmail,
  messageIdOf,
  messageRow,
  queueMails,
  sendMail,
  withoutRelay,
} from './inboxMails.ts'
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

const enrollment = () => tier.db.system.campaignEnrollment.findFirstOrThrow({ where: { id: demo.enrollmentId } })
const lead = () => tier.db.system.lead.findFirstOrThrow({ where: { id: demo.leadId } })
const suppressions = (workspace = demo) =>
  tier.db.system.suppression.findMany({ where: { tenantId: workspace.tenantId } })

function bounceOf(id: string, parts: { status?: string; recipient?: string; workspace?: Workspace } = {}) {
  const { status = '5.1.1', recipient = leadEmail(demo), workspace = demo } = parts
  return makeBounce({ original: messageIdOf(id, workspace), recipient, status })
}

describe('a mail that came back', () => {
  test('for good: its lead is not written to again, whatever campaign wants to', async () => {
    const id = await sendMail(tier, demo)
    const [queued = ''] = await queueMails(tier, demo, [null])
    const { message } = await ingest(tier, demo, bounceOf(id))
    // It has had its effect: nobody has to read it.
    expect(message).toMatchObject({ messageType: 'BOUNCE', isRead: true, parent: { id }, threadId: id })
    expect(await messageRow(tier, id)).toMatchObject({ status: 'bounced', bounceType: 'hard', deliveredAt: null })
    expect(await suppressions()).toMatchObject([
      { email: leadEmail(demo), reason: 'bounce', scope: 'tenant', sourceMessageId: message?.id },
    ])
    expect(await enrollment()).toMatchObject({ status: 'bounced', stopReason: 'bounced', endedAt: expect.any(Date) })
    expect((await lead()).status).toBe('bounced')
    expect(await messageRow(tier, queued)).toMatchObject({ status: 'failed', failureReason: 'bounced' })
    expect(await eventsOf(tier, demo, id)).toEqual(['email.sent', 'email.bounced'])
    const where = { tenantId: demo.tenantId }
    expect(await tier.db.system.conversation.count({ where })).toBe(0)
  })

  test('comes back once, however many reports there are, also at once', async () => {
    const id = await sendMail(tier, demo)
    await Promise.all(Array.from({ length: 5 }, () => ingest(tier, demo, bounceOf(id))))
    expect((await eventsOf(tier, demo, id)).filter((name) => name === 'email.bounced')).toHaveLength(1)
    expect(await suppressions()).toHaveLength(1)
  })

  test('for now: the lead stays in the campaign; when it turns out to be for good, it does not', async () => {
    const id = await sendMail(tier, demo)
    await ingest(tier, demo, bounceOf(id, { status: '5.2.2' }))
    expect(await messageRow(tier, id)).toMatchObject({ status: 'bounced', bounceType: 'soft' })
    expect((await enrollment()).status).toBe('active')
    expect(await suppressions()).toEqual([])
    await ingest(tier, demo, bounceOf(id))
    expect(await messageRow(tier, id)).toMatchObject({ status: 'bounced', bounceType: 'hard' })
    expect((await enrollment()).status).toBe('bounced')
    expect((await eventsOf(tier, demo, id)).filter((name) => name === 'email.bounced')).toHaveLength(1)
  })

  const daysAgo = (days: number) => new Date(Date.now() - days * 86_400_000)

  /** A mail sent so many days ago that came back for now, on that day. */
  async function cameBack(days: number) {
    const id = await sendMail(tier, demo, { sentAt: daysAgo(days), stepId: null })
    await ingest(tier, demo, bounceOf(id, { status: '4.2.2' }))
    await tier.db.system.inboxMessageRef.updateMany({ where: { id }, data: { bouncedAt: daysAgo(days) } })
  }

  test('for now, three times in a row over three days, is as good as for good', async () => {
    await cameBack(4)
    await cameBack(2)
    expect(await suppressions()).toEqual([])
    await cameBack(0)
    expect(await suppressions()).toMatchObject([{ email: leadEmail(demo), reason: 'bounce' }])
    expect((await enrollment()).status).toBe('bounced')
  })

  test('for now, three times within a day, is not', async () => {
    for (const days of [0.8, 0.4, 0]) await cameBack(days)
    expect(await suppressions()).toEqual([])
  })

  test('for now, with one that arrived in between, is not', async () => {
    await cameBack(9)
    await cameBack(6)
    const arrived = await sendMail(tier, demo, { sentAt: daysAgo(3), stepId: null })
    await tier.db.system.inboxMessageRef.updateMany({ where: { id: arrived }, data: { deliveredAt: daysAgo(3) } })
    await cameBack(0)
    expect(await suppressions()).toEqual([])
  })
})

describe('a report that lies', () => {
  const untouched = async (id: string, workspace = demo) => {
    expect((await messageRow(tier, id)).status).toBe('sent')
    expect(await suppressions(workspace)).toEqual([])
  }

  test('about a mail that we never sent is kept as mail and changes nothing', async () => {
    const id = await sendMail(tier, demo)
    const raw = makeBounce({ original: 'never@ours.example', recipient: leadEmail(demo), status: '5.1.1' })
    const { message } = await ingest(tier, demo, raw)
    expect(message).toMatchObject({ messageType: 'BOUNCE', isRead: false, parent: null, threadId: message?.id })
    await untouched(id)
  })

  test('about someone we never wrote to changes nothing', async () => {
    const id = await sendMail(tier, demo)
    const { message } = await ingest(tier, demo, bounceOf(id, { recipient: 'another@customer.example' }))
    expect(message).toMatchObject({ messageType: 'BOUNCE', isRead: false, parent: { id } })
    await untouched(id)
  })

  test("about another tenant's mail changes nothing, here or there", async () => {
    const id = await sendMail(tier, rival, { stepId: null })
    const raw = bounceOf(id, { workspace: rival, recipient: leadEmail(rival) })
    const { message } = await ingest(tier, demo, raw)
    expect(message).toMatchObject({ messageType: 'BOUNCE', isRead: false, parent: null })
    await untouched(id, rival)
    expect(await suppressions(demo)).toEqual([])
  })

  test('about a mail that has not left, or one that came in, changes nothing', async () => {
    const [queued = ''] = await queueMails(tier, demo, [demo.campaignId])
    await tier.db.system.inboxMessageRef.updateMany({
      where: { id: queued },
      data: { rfc822MessageId: messageIdOf(queued, demo), toEmail: leadEmail(demo) },
    })
    await ingest(tier, demo, bounceOf(queued))
    expect((await messageRow(tier, queued)).status).toBe('queued')
    const raw = makeBounce({ original: 'hello@customer.example', recipient: leadEmail(demo), status: '5.1.1' })
    const { message } = await ingest(tier, demo, raw)
    expect(await messageRow(tier, message?.id)).toMatchObject({ bouncedAt: null })
    expect(await suppressions()).toEqual([])
  })
})

describe('a report of', () => {
  const reportOn = (id: string, action: string, status: string) =>
    makeReport({ original: messageIdOf(id, demo), recipient: leadEmail(demo), action, status })

  test('a delay is no bounce', async () => {
    const id = await sendMail(tier, demo)
    const { message } = await ingest(tier, demo, reportOn(id, 'delayed', '4.4.1'))
    expect(message).toMatchObject({ messageType: 'AUTO_REPLY', isRead: true, parent: { id } })
    expect(await messageRow(tier, id)).toMatchObject({ status: 'sent', bouncedAt: null, deliveredAt: null })
    expect(await eventsOf(tier, demo, id)).toEqual(['email.sent'])
  })

  test('a delivery says that it arrived, once', async () => {
    const id = await sendMail(tier, demo)
    await ingest(tier, demo, reportOn(id, 'delivered', '2.1.5'))
    await ingest(tier, demo, reportOn(id, 'delivered', '2.1.5'))
    expect(await messageRow(tier, id)).toMatchObject({ status: 'delivered', deliveredAt: expect.any(Date) })
    expect(await eventsOf(tier, demo, id)).toEqual(['email.sent', 'email.delivered'])
  })
})

describe('a complaint', () => {
  test.each([
    ['that names who complained', true],
    ['that hides it', false],
  ])('%s ends all writing to the lead', async (_name, names) => {
    const id = await sendMail(tier, demo)
    const [queued = ''] = await queueMails(tier, demo, [demo.campaignId])
    const raw = makeComplaint({ original: messageIdOf(id, demo), recipient: names ? leadEmail(demo) : null })
    const { message } = await ingest(tier, demo, raw)
    await ingest(tier, demo, raw)
    expect(message).toMatchObject({ messageType: 'AUTO_REPLY', isRead: true, parent: { id } })
    expect(await messageRow(tier, id)).toMatchObject({ status: 'sent', complainedAt: expect.any(Date) })
    expect(await suppressions()).toMatchObject([
      { email: leadEmail(demo), reason: 'complaint', sourceMessageId: message?.id },
    ])
    expect(await enrollment()).toMatchObject({ status: 'unsubscribed', stopReason: 'complained' })
    expect(await messageRow(tier, queued)).toMatchObject({ status: 'failed', failureReason: 'complained' })
    expect(await eventsOf(tier, demo, id)).toEqual(['email.sent', 'email.complained'])
  })

  test('about somebody else, or another tenant’s mail, is somebody’s word', async () => {
    const id = await sendMail(tier, demo)
    await ingest(tier, demo, makeComplaint({ original: messageIdOf(id, demo), recipient: 'other@customer.example' }))
    await ingest(tier, rival, makeComplaint({ original: messageIdOf(id, demo), recipient: leadEmail(demo) }))
    expect((await messageRow(tier, id)).complainedAt).toBeNull()
    expect([...(await suppressions()), ...(await suppressions(rival))]).toEqual([])
  })
})

describe('mail of which nothing is heard', () => {
  const SETTLE = 'mutation { settleDelivered { settled hasMore } }'
  const settle = async () => (await tier.ask(SETTLE, {}, SERVICE)).data.settleDelivered
  const hoursAgo = (hours: number) => new Date(Date.now() - hours * 3_600_000)

  test('counts as delivered after six hours, once; what came back does not', async () => {
    await settle()
    const old = await sendMail(tier, demo, { sentAt: hoursAgo(7), stepId: null })
    const fresh = await sendMail(tier, demo, { sentAt: hoursAgo(5), stepId: null })
    const back = await sendMail(tier, demo, { sentAt: hoursAgo(8), stepId: null })
    const opened = await sendMail(tier, demo, { sentAt: hoursAgo(9), stepId: null })
    const foreign = await sendMail(tier, rival, { sentAt: hoursAgo(9), stepId: null })
    await ingest(tier, demo, bounceOf(back, { status: '4.2.2' }))
    const seen = { status: 'opened', openedAt: hoursAgo(1) }
    await tier.db.system.inboxMessageRef.updateMany({ where: { id: opened }, data: seen })
    expect(await settle()).toEqual({ settled: 3, hasMore: false })
    expect(await settle()).toEqual({ settled: 0, hasMore: false })
    expect(await messageRow(tier, old)).toMatchObject({ status: 'delivered', deliveredAt: expect.any(Date) })
    expect(await messageRow(tier, fresh)).toMatchObject({ status: 'sent', deliveredAt: null })
    expect(await messageRow(tier, back)).toMatchObject({ status: 'bounced', deliveredAt: null })
    expect(await messageRow(tier, opened)).toMatchObject({ status: 'opened', deliveredAt: expect.any(Date) })
    expect(await eventsOf(tier, demo, old, opened, back, fresh)).toEqual([
      ...Array(4).fill('email.sent'),
      'email.bounced',
      ...Array(2).fill('email.delivered'),
    ])
    expect(await eventsOf(tier, rival, foreign)).toEqual(['email.sent', 'email.delivered'])
  })

  test('is settled in a fixed number of statements, however much there is, and by no tenant’s user', async () => {
    await settle()
    for (let n = 0; n < 12; n += 1) await sendMail(tier, demo, { sentAt: hoursAgo(7), stepId: null })
    const { statements } = await tier.db.statements.during(settle)
    expect(withoutRelay(statements)).toHaveLength(3)
    const answer = await tier.ask(SETTLE, {}, userOf(demo.tenantId))
    expect(answer.errors?.[0]?.extensions.code).toBe('FORBIDDEN')
  })
})
