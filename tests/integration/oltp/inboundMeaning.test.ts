import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { v7 as uuidv7 } from 'uuid'
import { countStatements } from '#platform/database/statementCount.ts'
import { runAsTenant } from '#platform/database/tenantScope.ts'
import { type Answer, applyAnswers, holdAnswered } from '../../../subgraphs/oltp/services/mailFlow/answers.ts'
import { transact } from '../../../subgraphs/oltp/services/sending/transact.ts'
import { makeBounce, makeMail } from '../../support/mails.ts'
import {
  answerTo,
  eventsOf,
  ingest,
  leadEmail,
  messageIdOf,
  messageRow,
  queueMails,
  sendMail,
  withoutRelay,
} from './inboxMails.ts'
import { type OltpTier, startOltpTier } from './oltpTier.ts'
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
const lead = (workspace = demo) => tier.db.system.lead.findFirstOrThrow({ where: { id: workspace.leadId } })

/** All that the rival has, to be compared. */
async function rivals() {
  const where = { tenantId: rival.tenantId }
  return JSON.stringify([
    await tier.db.system.inboxMessageRef.findMany({ where, orderBy: { id: 'asc' } }),
    await tier.db.system.campaignEnrollment.findMany({ where }),
    await tier.db.system.lead.findMany({ where }),
    await tier.db.system.suppression.findMany({ where }),
    await tier.db.system.outboxEvent.count({ where }),
  ])
}

describe("a person's reply", () => {
  test('ends the campaign for the lead, and what is queued for it does not leave', async () => {
    const other = uuidv7()
    const { tenantId, companyId } = demo
    await tier.db.system.campaign.create({
      data: { tenantId, id: other, companyId, name: 'Another', status: 'sending' },
    })
    const id = await sendMail(tier, demo)
    const [queued = '', elsewhere = ''] = await queueMails(tier, demo, [demo.campaignId, other])
    const before = await rivals()

    const { message } = await ingest(tier, demo, answerTo(id, demo))
    expect(message).toMatchObject({ messageType: 'EMAIL', isRead: false, threadId: id, lead: { id: demo.leadId } })
    expect(await messageRow(tier, id)).toMatchObject({
      status: 'replied',
      repliedAt: expect.any(Date),
      deliveredAt: expect.any(Date),
    })
    expect(await enrollment()).toMatchObject({
      status: 'replied',
      stopReason: 'replied',
      endedAt: expect.any(Date),
      nextRunAt: null,
      version: 2,
    })
    expect((await lead()).status).toBe('replied')
    expect(await messageRow(tier, queued)).toMatchObject({
      status: 'failed',
      failureReason: 'replied',
      failedAt: expect.any(Date),
    })
    expect((await messageRow(tier, elsewhere)).status).toBe('queued')
    expect(await eventsOf(tier, demo, id)).toEqual(['email.sent', 'email.delivered', 'email.replied'])
    expect(await rivals()).toBe(before)
  })

  test('counts once, however often the lead writes, also in answer to itself', async () => {
    const id = await sendMail(tier, demo)
    const first = await ingest(tier, demo, answerTo(id, demo, { 'Message-ID': '<first@customer.example>' }))
    const second = await ingest(tier, demo, answerTo(null, demo, { 'In-Reply-To': '<first@customer.example>' }))
    expect(second.message).toMatchObject({
      threadId: id,
      parent: { id: first.message?.id },
      campaign: { id: demo.campaignId },
      lead: { id: demo.leadId },
    })
    expect((await eventsOf(tier, demo, id)).filter((name) => name === 'email.replied')).toHaveLength(1)
  })

  test('is known by our Message-ID, whatever was made of its domain on the way', async () => {
    const id = await sendMail(tier, demo)
    const rewritten = `<${id.replaceAll('-', '')}@rewritten.example>`
    const { message } = await ingest(tier, demo, answerTo(null, demo, { 'In-Reply-To': rewritten }))
    expect(message).toMatchObject({ threadId: id, parent: { id } })
    expect((await messageRow(tier, id)).status).toBe('replied')
  })

  test('that names no mail answers the last one that the mailbox wrote to its sender', async () => {
    await sendMail(tier, demo, { sentAt: new Date(Date.now() - 2 * 86_400_000), stepId: null })
    const last = await sendMail(tier, demo)
    const { message } = await ingest(tier, demo, answerTo(null, demo, { Subject: 'About your offer' }))
    expect(message).toMatchObject({ threadId: last, parent: { id: last }, campaign: { id: demo.campaignId } })
    expect((await messageRow(tier, last)).status).toBe('replied')
  })

  test('is not what a list, a stranger or a colleague sends, nor what comes a month later', async () => {
    const old = await sendMail(tier, demo, { sentAt: new Date(Date.now() - 40 * 86_400_000) })
    await ingest(tier, demo, answerTo(null, demo, { Subject: 'Long ago' }))
    expect((await messageRow(tier, old)).status).toBe('sent')

    const id = await sendMail(tier, demo, { stepId: null })
    await ingest(tier, demo, answerTo(null, demo, { 'List-Id': '<news.customer.example>' }))
    await ingest(tier, demo, makeMail({ headers: { To: `sales@${demo.domain}` } }))
    await ingest(tier, demo, answerTo(id, demo, { From: `old@${demo.domain}` }))
    expect((await messageRow(tier, id)).status).toBe('sent')
    expect((await enrollment()).status).toBe('active')
  })

  test('to a mail of a tenant that it did not come to changes nothing there', async () => {
    const id = await sendMail(tier, rival, { stepId: null })
    const before = await rivals()
    const raw = answerTo(null, demo, {
      'In-Reply-To': `<${messageIdOf(id, rival)}>`,
      References: `<${messageIdOf(id, rival)}>`,
    })
    const { message } = await ingest(tier, demo, raw)
    expect(message).toMatchObject({ parent: null, campaign: null, threadId: message?.id })
    expect(await rivals()).toBe(before)
  })
})

test('two answers at once, of each kind, cost as many statements as one', async () => {
  const kinds = ['reply', 'bounce', 'delivery', 'complaint', 'unsubscribe'] as const
  const answer = async (kind: (typeof kinds)[number]): Promise<Answer> => {
    const { mailboxId: id, domainId, companyId } = demo
    const row = await messageRow(tier, await sendMail(tier, demo, { stepId: null }))
    const message = { ...row, mailbox: { id, domainId, companyId, smtpIpAddressId: null } }
    const meaning = { kind, message, bounceType: 'hard' } as unknown as Answer['meaning']
    return { meaning, messageId: message.id, at: new Date() }
  }
  const measure = async (count: number) => {
    demo = await foundTenant(tier)
    const answers: Answer[] = []
    for (const kind of kinds) for (let n = 0; n < count; n += 1) answers.push(await answer(kind))
    const about = { timezone: 'UTC', requestId: 'test' }
    const { result, statements } = await countStatements(tier.db, () =>
      runAsTenant(demo.tenantId, () =>
        transact({ db: tier.db, requestId: 'test' }, async (tx) => {
          const meanings = answers.map(({ meaning }) => meaning)
          return applyAnswers(tx, answers, await holdAnswered(tx, meanings), about)
        }),
      ),
    )
    expect(result.filter(({ eventType }) => eventType === 'email.replied')).toHaveLength(count)
    return withoutRelay(statements).length
  }
  // So few that no brake is pulled.
  expect(await measure(2)).toBe(await measure(1))
})

describe('what a machine writes in answer', () => {
  test.each([
    ['by its header', { 'Auto-Submitted': 'auto-replied' }],
    ['by what was used before that', { 'X-Autoreply': 'yes' }],
    ['by its precedence', { Precedence: 'bulk' }],
    ['by its subject alone', { Subject: 'Abwesenheitsnotiz: Re: An offer' }],
  ])('%s, belongs to the conversation and stops nothing', async (_name, headers) => {
    const id = await sendMail(tier, demo)
    const [queued = ''] = await queueMails(tier, demo, [demo.campaignId])
    const { message } = await ingest(tier, demo, answerTo(id, demo, headers))
    expect(message).toMatchObject({ messageType: 'AUTO_REPLY', threadId: id, isRead: false })
    expect((await messageRow(tier, id)).status).toBe('sent')
    expect((await messageRow(tier, queued)).status).toBe('queued')
    expect((await enrollment()).status).toBe('active')
    expect((await lead()).status).toBe('new')
  })
})

describe('a wish to be written to no more that comes by mail', () => {
  const wish = (id: string, from = leadEmail(demo)) =>
    makeMail({ headers: { From: from, To: `sales@${demo.domain}`, Subject: `unsubscribe ${id.replaceAll('-', '')}` } })

  test('suppresses the address that we wrote to, also for what is queued', async () => {
    const id = await sendMail(tier, demo)
    const [queued = ''] = await queueMails(tier, demo, [demo.campaignId])
    const { message } = await ingest(tier, demo, wish(id))
    expect(message).toMatchObject({ isRead: true, parent: { id } })
    expect(await messageRow(tier, id)).toMatchObject({ status: 'sent', unsubscribedAt: expect.any(Date) })
    expect(await messageRow(tier, queued)).toMatchObject({ status: 'failed', failureReason: 'unsubscribed' })
    expect((await enrollment()).status).toBe('unsubscribed')
    expect((await eventsOf(tier, demo, id)).at(-1)).toBe('email.unsubscribed')
    const where = { tenantId: demo.tenantId, email: leadEmail(demo) }
    expect(await tier.db.system.suppression.findFirst({ where })).toMatchObject({
      reason: 'unsubscribe',
      sourceMessageId: message?.id,
    })
  })

  test("that names another tenant's mail, or none, does nothing", async () => {
    const id = await sendMail(tier, rival, { stepId: null })
    const before = await rivals()
    await ingest(tier, demo, wish(id))
    await ingest(tier, demo, wish(uuidv7()))
    expect(await rivals()).toBe(before)
    expect(await tier.db.system.suppression.count({ where: { tenantId: demo.tenantId } })).toBe(0)
  })
})

describe('hostile mail', () => {
  test('with a thousand references finds the last ones', async () => {
    const id = await sendMail(tier, demo)
    const many = Array.from({ length: 1_000 }, (_, n) => `<${n}@noise.example>`).join('\r\n ')
    const { message } = await ingest(
      tier,
      demo,
      answerTo(null, demo, { References: `${many} <${messageIdOf(id, demo)}>` }),
    )
    expect(message).toMatchObject({ threadId: id })
  })

  test('of parts within parts within parts is kept, and read as far as it goes', async () => {
    const open = Array.from(
      { length: 2_000 },
      (_, n) => `Content-Type: multipart/report; boundary=b${n}\r\n\r\n--b${n}`,
    )
    const raw = Buffer.from(`From: a@b.example\r\nSubject: deep\r\n${open.join('\r\n')}\r\n\r\nend`).toString('base64')
    expect((await ingest(tier, demo, raw)).message).toMatchObject({ messageType: 'AUTO_REPLY' })
  })

  test('with a header of megabytes is kept', async () => {
    const raw = answerTo(null, demo, { 'X-Noise': 'n'.repeat(500_000), 'In-Reply-To': `<${'i'.repeat(100_000)}>` })
    expect((await ingest(tier, demo, raw)).message).toMatchObject({ messageType: 'EMAIL' })
  })

  test('that reports on a mail of ours by its References only is no report on it', async () => {
    const id = await sendMail(tier, demo)
    const report = Buffer.from(
      makeBounce({ original: 'never@ours.example', recipient: leadEmail(demo), status: '5.1.1' }),
      'base64',
    )
    const raw = Buffer.concat([Buffer.from(`References: <${messageIdOf(id, demo)}>\r\n`), report]).toString('base64')
    const { message } = await ingest(tier, demo, raw)
    expect(message).toMatchObject({ messageType: 'BOUNCE', parent: null, isRead: false })
    expect((await messageRow(tier, id)).status).toBe('sent')
  })
})
