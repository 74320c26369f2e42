import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { v7 as uuidv7 } from 'uuid'
import { setClock } from '#platform/clock.ts'
import { makeBounce, makeComplaint, makeMail } from '../../support/mails.ts'
import { auditedActs, makeAsk } from './asking.ts'
import { ingest, messageIdOf, messageRow, sendMail } from './inboxMails.ts'
import { type OltpTier, SERVICE, startOltpTier } from './oltpTier.ts'
import {
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
} from './sendingWorld.ts'
import { foundTenant, type Workspace } from './workspace.ts'

let tier: OltpTier
let rival: SendingWorld
beforeAll(async () => {
  tier = await startOltpTier({ content: true })
  rival = await makeSendingWorld(tier, { leads: 1 })
})
afterAll(() => tier?.stop())
afterEach(() => setClock({ speed: 1, originAt: 0 }))

const MONDAY = '2026-11-23T09:00:00.000Z'
const ask = makeAsk(
  () => tier,
  () => rival,
)

function moveTo(workspace: Workspace, leadId: string, email: string) {
  const text = 'mutation ($input: UpdateLeadInput!) { updateLead(input: $input) { lead { email } } }'
  return ask(text, { input: { leadId, email } }, workspace)
}

async function startWorld(parts: Parameters<typeof makeSendingWorld>[1]): Promise<SendingWorld> {
  setNow(MONDAY)
  const world = await makeSendingWorld(tier, parts)
  await launch(tier, world, new Date(MONDAY))
  return world
}

const sums = async ({ tenantId }: Workspace) =>
  (await budgetsOf(tier, tenantId)).map(({ scope, reserved, sent }) => ({ scope, reserved, sent }))

describe('a lead that gets another address', () => {
  test('while its mail waits is written to there, once; nothing leaves for the old one', async () => {
    const world = await startWorld({ leads: 2, mailboxes: 1 })
    expect((await planAll(tier, world)).planned).toBe(2)
    const [leadId = '', otherId = ''] = world.leadIds
    const [waiting] = (await mailsOf(tier, world.tenantId)).filter((mail) => mail.leadId === leadId)
    expect((await moveTo(world, leadId, 'new@customer.example')).value.lead.email).toBe('new@customer.example')

    expect(await messageRow(tier, waiting?.id ?? '')).toMatchObject({
      ...{ status: 'failed', failureReason: 'address_changed', enrollmentId: null, sentAt: null },
    })
    expect(await begin(tier, world.tenantId, [waiting?.id ?? ''])).toMatchObject([{ outcome: 'DONE' }])
    for (const { reserved, sent } of await sums(world)) expect({ reserved, sent }).toEqual({ reserved: 1, sent: 0 })
    const [enrollment] = (await enrollmentsOf(tier, world.tenantId)).filter((one) => one.leadId === leadId)
    expect(enrollment).toMatchObject({ status: 'active', currentStepOrder: 0, nextRunAt: expect.any(Date) })
    const plans = (await tier.announced(world.tenantId)).filter(({ eventType }) => eventType === 'campaign.planDue')
    expect(plans.length).toBeGreaterThan(0)
    const acts = await auditedActs(tier, world, 'Lead')
    expect(acts.at(-1)).toMatchObject({ action: 'lead.update', newValues: { changed: ['email'], plannedAgain: 1 } })

    expect((await planAll(tier, world)).planned).toBe(1)
    expect(await sendAll(tier, world.tenantId)).toBe(2)
    const sent = (await mailsOf(tier, world.tenantId)).filter(({ status }) => status === 'sent')
    expect(Object.fromEntries(sent.map((mail) => [mail.leadId, mail.toEmail]))).toEqual({
      [leadId]: 'new@customer.example',
      [otherId]: expect.stringMatching(/^lead1@/),
    })
    expect((await enrollmentsOf(tier, world.tenantId)).map(({ status }) => status)).toEqual(['completed', 'completed'])
    for (const { reserved, sent } of await sums(world)) expect({ reserved, sent }).toEqual({ reserved: 2, sent: 2 })
  })

  test('between two steps gets the second one there, with the hours and conditions before it asked again', async () => {
    const steps = [{}, { stepType: 'WAIT', waitHours: 24 }, { condition: 'IF_NOT_CLICKED' }]
    const world = await startWorld({ leads: 1, mailboxes: 1, steps })
    await planAll(tier, world)
    await sendAll(tier, world.tenantId)
    const first = (await mailsOf(tier, world.tenantId))[0]
    const dueAt = new Date((first?.sentAt?.getTime() ?? 0) + 24 * 3_600_000 + 60_000)
    setNow(dueAt)
    expect((await planAll(tier, world)).planned).toBe(1)
    await moveTo(world, world.leadIds[0] ?? '', 'new@customer.example')
    const [enrollment] = await enrollmentsOf(tier, world.tenantId)
    expect(enrollment).toMatchObject({ status: 'active', currentStepOrder: 1, nextRunAt: expect.any(Date) })
    expect((await planAll(tier, world)).planned).toBe(1)
    expect(await sendAll(tier, world.tenantId)).toBe(1)
    const mails = await mailsOf(tier, world.tenantId)
    expect(mails.map(({ status, toEmail }) => [status, toEmail]).sort()).toEqual([
      ['failed', first?.toEmail],
      ['sent', first?.toEmail],
      ['sent', 'new@customer.example'],
    ])
    const second = mails.find(({ toEmail, status }) => status === 'sent' && toEmail === 'new@customer.example')
    expect(second).toMatchObject({ threadId: first?.id, stepId: world.stepIds[2] })
  })

  test('while its mail is just leaving is not written to twice', async () => {
    const world = await startWorld({ leads: 1, mailboxes: 1 })
    await planAll(tier, world)
    const [mail] = await mailsOf(tier, world.tenantId)
    setNow(mail?.scheduledAt ?? MONDAY)
    const begun = await begin(tier, world.tenantId, [mail?.id ?? ''])
    await moveTo(world, world.leadIds[0] ?? '', 'new@customer.example')
    expect(await openWindows(tier, begun)).toEqual([true])
    await finish(tier, begun)
    expect(await planAll(tier, world)).toMatchObject({ planned: 0 })
    expect((await mailsOf(tier, world.tenantId)).map(({ status }) => status)).toEqual(['sent'])
  })

  test('while it is being planned gets its mail at the address that it has in the end', async () => {
    const world = await startWorld({ leads: 40, mailboxes: 2 })
    const moved = world.leadIds.slice(0, 20)
    await Promise.all([
      planAll(tier, world),
      ...moved.map((leadId, index) => moveTo(world, leadId, `moved${index}@customer.example`)),
    ])
    await planAll(tier, world)
    const queued = (await mailsOf(tier, world.tenantId)).filter(({ status }) => status === 'queued')
    const leads = await tier.db.system.lead.findMany({ where: { tenantId: world.tenantId } })
    expect(queued).toHaveLength(40)
    const emails = new Map(leads.map(({ id, email }) => [id, email]))
    for (const { leadId, toEmail } of queued) expect(toEmail).toBe(emails.get(leadId ?? ''))
    const [campaign] = (await sums(world)).filter(({ scope }) => scope === 'campaign')
    expect(campaign).toMatchObject({ reserved: 40 })
  })

  test('of another tenant is not found, and its mail stays', async () => {
    const world = await startWorld({ leads: 1 })
    await planAll(tier, world)
    expect((await moveTo(rival, world.leadIds[0] ?? '', 'mine@customer.example')).code).toBe('NOT_FOUND')
    expect((await mailsOf(tier, world.tenantId)).map(({ status }) => status)).toEqual(['queued'])
  })
})

describe('a lead whose address bounced', () => {
  const bounced = async (parts: { sent: boolean }) => {
    const workspace = await foundTenant(tier)
    const { tenantId, leadId: id } = workspace
    if (parts.sent) await sendMail(tier, workspace)
    await tier.db.system.lead.updateMany({ where: { tenantId, id }, data: { status: 'bounced' } })
    const { email } = await tier.db.system.lead.findFirstOrThrow({ where: { tenantId, id } })
    await tier.db.system.suppression.create({ data: { tenantId, id: uuidv7(), reason: 'bounce', email } })
    const statusNow = async () => (await tier.db.system.lead.findFirstOrThrow({ where: { tenantId, id } })).status
    return { workspace, id, email, statusNow }
  }

  test.each([
    [true, 'contacted'],
    [false, 'new'],
  ])('is one like others again once the address is put right; the old one stays suppressed', async (sent, status) => {
    const { workspace, id, email, statusNow } = await bounced({ sent })
    expect((await moveTo(workspace, id, 'right@customer.example')).code).toBeUndefined()
    expect(await statusNow()).toBe(status)
    const left = await tier.db.system.suppression.findMany({ where: { tenantId: workspace.tenantId } })
    expect(left.map((one) => one.email)).toEqual([email])
    // Back to where mail bounces, it is not written to: that is asked of the address.
    expect((await moveTo(workspace, id, email)).code).toBeUndefined()
    expect(await tier.db.system.suppression.count({ where: { tenantId: workspace.tenantId } })).toBe(1)
  })

  test('stays bounced with a new address that bounced, too, and unsubscribed if it has unsubscribed', async () => {
    const { workspace, id, statusNow } = await bounced({ sent: true })
    const { tenantId } = workspace
    const other = { tenantId, id: uuidv7(), reason: 'bounce', email: 'worse@customer.example' }
    await tier.db.system.suppression.create({ data: other })
    await moveTo(workspace, id, other.email)
    expect(await statusNow()).toBe('bounced')
    await tier.db.system.lead.updateMany({ where: { tenantId, id }, data: { status: 'unsubscribed' } })
    await moveTo(workspace, id, 'right@customer.example')
    expect(await statusNow()).toBe('unsubscribed')
  })
})

describe('a lead that a person unsubscribes', () => {
  const unsubscribe = (workspace: Workspace) => {
    const text = 'mutation ($input: UnsubscribeLeadInput!) { unsubscribeLead(input: $input) { lead { status } } }'
    return ask(text, { input: { leadId: workspace.leadId } }, workspace)
  }
  const told = async ({ tenantId }: Workspace) =>
    (await tier.announced(tenantId)).filter(({ eventType }) => eventType === 'email.unsubscribed')

  test('is told of as by a link: once, of the last campaign mail that it got', async () => {
    const workspace = await foundTenant(tier)
    await sendMail(tier, workspace, { sentAt: new Date(Date.now() - 7_200_000) })
    const last = await sendMail(tier, workspace)
    const before = await messageRow(tier, last)
    for (const _time of [1, 2]) expect((await unsubscribe(workspace)).value.lead.status).toBe('UNSUBSCRIBED')
    const { tenantId, leadId, campaignId, stepId } = workspace
    expect(await told(workspace)).toMatchObject([
      {
        aggregateId: last,
        aggregateVersion: (before?.version ?? 0) + 1,
        payload: { eventType: 'unsubscribed', messageId: last, leadId, campaignId, stepId },
      },
    ])
    const marked = await tier.db.system.inboxMessageRef.count({ where: { tenantId, unsubscribedAt: { not: null } } })
    expect(marked).toBe(1)
  })

  test('and that got no mail is suppressed, with no fact to tell', async () => {
    const workspace = await foundTenant(tier)
    expect((await unsubscribe(workspace)).value.lead.status).toBe('UNSUBSCRIBED')
    expect(await told(workspace)).toEqual([])
  })
})

describe('a mail to an address that was suppressed since', () => {
  test.each([
    ['the address', (email: string) => ({ email })],
    ['its domain', (email: string) => ({ domain: email.split('@')[1] })],
  ])('does not leave, whatever address the lead has now: %s', async (_what, targetOf) => {
    const world = await startWorld({ leads: 1, mailboxes: 1 })
    await planAll(tier, world)
    const [mail] = await mailsOf(tier, world.tenantId)
    // As a crash, or a change by another way, may leave it.
    await tier.db.system.lead.updateMany({
      where: { id: world.leadIds[0] },
      data: { email: 'new@elsewhere.example' },
    })
    const suppression = { tenantId: world.tenantId, id: uuidv7(), reason: 'bounce' }
    await tier.db.system.suppression.create({ data: { ...suppression, ...targetOf(mail?.toEmail ?? '') } })
    setNow(mail?.scheduledAt ?? MONDAY)
    expect(await begin(tier, world.tenantId, [mail?.id ?? ''])).toMatchObject([
      { outcome: 'DROPPED', reason: 'suppressed' },
    ])
  })
})

describe('what is said of a mail to an address that its lead has no more', () => {
  async function makeMoved() {
    const workspace = await foundTenant(tier)
    const { tenantId, leadId, enrollmentId } = workspace
    const id = await sendMail(tier, workspace, { to: 'old@customer.example' })
    const stateNow = async () => {
      const lead = await tier.db.system.lead.findFirstOrThrow({ where: { tenantId, id: leadId } })
      const enrollment = await tier.db.system.campaignEnrollment.findFirstOrThrow({ where: { id: enrollmentId } })
      const suppressions = await tier.db.system.suppression.findMany({ where: { tenantId } })
      return [lead.status, enrollment.status, ...suppressions.map(({ email, reason }) => `${reason} ${email}`).sort()]
    }
    const current = `lead@customer-${workspace.slug}.example`
    return { workspace, id, stateNow, current }
  }

  test('as a wish not to be written to stops the lead as it is now', async () => {
    const { workspace, id, stateNow, current } = await makeMoved()
    const rivals = await tier.db.system.suppression.count({ where: { tenantId: rival.tenantId } })
    await ingest(tier, workspace, farewell(workspace, id))
    expect(await stateNow()).toEqual([
      ...['unsubscribed', 'unsubscribed'],
      ...[`unsubscribe ${current}`, 'unsubscribe old@customer.example'],
    ])
    expect(await tier.db.system.suppression.count({ where: { tenantId: rival.tenantId } })).toBe(rivals)
  })

  test('as a complaint does, too', async () => {
    const { workspace, id, stateNow, current } = await makeMoved()
    await ingest(tier, workspace, complaint(workspace, id))
    expect(await stateNow()).toEqual([
      ...['unsubscribed', 'unsubscribed'],
      ...[`complaint ${current}`, 'complaint old@customer.example'],
    ])
  })

  test('as a hard bounce is about the old address alone', async () => {
    const { workspace, id, stateNow } = await makeMoved()
    const report = { original: messageIdOf(id, workspace), recipient: 'old@customer.example', status: '5.1.1' }
    await ingest(tier, workspace, makeBounce(report))
    expect(await messageRow(tier, id)).toMatchObject({ status: 'bounced' })
    expect(await stateNow()).toEqual(['contacted', 'active', 'bounce old@customer.example'].map(expectOf))
  })
})

/** A new lead is as good as one that was written to: only the rest is asked for. */
function expectOf(state: string) {
  return state === 'contacted' ? expect.stringMatching(/^(new|contacted)$/) : state
}

describe('who leaves by several mails', () => {
  const RECORD = 'mutation ($hits: [TrackingHitInput!]!) { recordTracking(hits: $hits) { status } }'
  const clickOut = ({ tenantId }: Workspace, messageId: string, minute: number) => ({
    ...{ tenantId, messageId, hitId: uuidv7(), kind: 'UNSUBSCRIBE', ip: '203.0.113.9', userAgent: 'x' },
    occurredAt: new Date(Date.now() - 3_600_000 + minute * 60_000).toISOString(),
  })
  const record = (...hits: object[]) => tier.ask(RECORD, { hits }, SERVICE)
  const countedOf = async ({ tenantId }: Workspace) =>
    (await tier.announced(tenantId))
      .filter(({ eventType }) => ['email.unsubscribed', 'email.complained'].includes(eventType))
      .map(({ eventType, aggregateId }) => [eventType.replace('email.', ''), aggregateId])

  async function makeMails(count = 2) {
    const workspace = await foundTenant(tier)
    const ids: string[] = []
    for (let n = 0; n < count; n += 1)
      ids.push(await sendMail(tier, workspace, { stepId: null, to: `a${n}@old.example` }))
    const [first = '', second = '', third = ''] = ids
    return { workspace, first, second, third }
  }

  test('in one batch is counted once, by the mail that was first', async () => {
    const { workspace, first, second } = await makeMails()
    await record(clickOut(workspace, first, 20), clickOut(workspace, second, 10))
    expect(await countedOf(workspace)).toEqual([['unsubscribed', second]])
    for (const id of [first, second]) expect((await messageRow(tier, id)).unsubscribedAt).toEqual(expect.any(Date))
    const suppressed = await tier.db.system.suppression.findMany({ where: { tenantId: workspace.tenantId } })
    expect(suppressed).toHaveLength(3)
  })

  test('in batches at once is counted once', async () => {
    const { workspace, first, second, third } = await makeMails(3)
    await Promise.all([first, second, third].map((id, index) => record(clickOut(workspace, id, index))))
    expect(await countedOf(workspace)).toHaveLength(1)
  })

  test('first by a link, then by a mail, or the other way round, is counted once', async () => {
    const one = await makeMails()
    await record(clickOut(one.workspace, one.first, 1))
    await ingest(tier, one.workspace, farewell(one.workspace, one.second))
    expect(await countedOf(one.workspace)).toEqual([['unsubscribed', one.first]])
    expect((await messageRow(tier, one.second)).unsubscribedAt).toEqual(expect.any(Date))
    const other = await makeMails()
    await ingest(tier, other.workspace, farewell(other.workspace, other.first))
    await record(clickOut(other.workspace, other.second, 99))
    expect(await countedOf(other.workspace)).toEqual([['unsubscribed', other.first]])
  })

  test('and complains besides is counted for each, but has not unsubscribed after that', async () => {
    const { workspace, first, second, third } = await makeMails(3)
    await ingest(tier, workspace, farewell(workspace, first))
    await ingest(tier, workspace, complaint(workspace, second))
    await ingest(tier, workspace, farewell(workspace, third))
    expect(await countedOf(workspace)).toEqual([
      ['unsubscribed', first],
      ['complained', second],
    ])
  })
})

function farewell({ domain }: Workspace, id: string): string {
  return makeMail({
    headers: {
      ...{ From: 'lee@elsewhere.example', To: `sales@${domain}` },
      Subject: `unsubscribe ${id.replaceAll('-', '')}`,
    },
  })
}

function complaint(workspace: Workspace, id: string): string {
  return makeComplaint({ original: messageIdOf(id, workspace), recipient: null })
}
