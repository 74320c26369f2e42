import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { v7 as uuidv7 } from 'uuid'
import { type OltpTier, SERVICE, startOltpTier, userOf } from './oltpTier.ts'
import { foundTenant, type Workspace } from './workspace.ts'

const RECORD = `mutation ($hits: [TrackingHitInput!]!) { recordTracking(hits: $hits) { hitId status openClass } }`
const BROWSER =
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36'
const APPLE = 'Mozilla/5.0'
const SENT_AT = new Date('2026-11-20T22:50:00Z')
const minutesAfter = (minutes: number) => new Date(SENT_AT.getTime() + minutes * 60_000)

let tier: OltpTier
let demo: Workspace
let rival: Workspace

beforeAll(async () => {
  tier = await startOltpTier()
  demo = await foundTenant(tier)
  rival = await foundTenant(tier)
})
afterAll(() => tier?.stop())

type Row = { status?: string; sentAt?: Date | null; leadId?: string | null; toEmail?: string | null }

async function writeMail(workspace: Workspace, row: Row = {}): Promise<string> {
  const { tenantId, mailboxId: emailAccountId, campaignId, stepId, leadId, slug } = workspace
  const id = uuidv7()
  const own = { tenantId, id, emailAccountId, campaignId, stepId, leadId, threadId: id, dedupKey: id }
  const data = { ...own, direction: 'outbound', status: 'sent', sentAt: SENT_AT, toEmail: emailOf(slug), ...row }
  await tier.db.system.inboxMessageRef.create({ data })
  return id
}
const emailOf = (slug: string) => `lead@customer-${slug}.example`

function hit(kind: 'OPEN' | 'CLICK' | 'UNSUBSCRIBE', messageId: string, changes: object = {}) {
  const usual = { tenantId: demo.tenantId, hitId: uuidv7(), occurredAt: minutesAfter(30).toISOString() }
  return { kind, messageId, userAgent: BROWSER, ip: '203.0.113.9', ...usual, ...changes }
}

async function record(hits: object[]) {
  const { data, errors } = await tier.ask(RECORD, { hits }, SERVICE)
  expect(errors).toBeUndefined()
  return data.recordTracking.map(({ status, openClass }: { status: string; openClass: string }) => [status, openClass])
}

const findMail = (id: string, { tenantId } = demo) =>
  tier.db.system.inboxMessageRef.findUniqueOrThrow({ where: { tenantId_id: { tenantId, id } } })

async function eventsOf(messageId: string, { tenantId } = demo) {
  const events = await tier.announced(tenantId)
  return events
    .filter(({ aggregateId }) => aggregateId === messageId)
    .map(({ eventType, aggregateVersion, payload }) => ({ eventType, aggregateVersion, ...(payload as object) }))
}

describe('opens', () => {
  test('the first one counts and the first one by a person; the mail is opened when a person opened it', async () => {
    const id = await writeMail(demo)
    const machine = hit('OPEN', id, { userAgent: APPLE, occurredAt: minutesAfter(1).toISOString() })
    expect(await record([machine])).toEqual([['RECORDED', 'PROXY']])
    expect(await findMail(id)).toMatchObject({
      ...{ status: 'sent', openedAt: minutesAfter(1), humanOpenedAt: null, version: 2 },
    })
    const opens = [60, 45, 90].map((minutes) => hit('OPEN', id, { occurredAt: minutesAfter(minutes).toISOString() }))
    expect(await record([...opens, machine])).toEqual([...Array(3).fill(['RECORDED', 'HUMAN']), ['RECORDED', 'PROXY']])
    expect(await findMail(id)).toMatchObject({
      ...{ status: 'opened', openedAt: minutesAfter(1), humanOpenedAt: minutesAfter(45), version: 3 },
    })
    const { companyId, domainId, mailboxId, campaignId, stepId, leadId, addressId } = demo
    const about = { companyId, domainId, emailAccountId: mailboxId, campaignId, stepId, leadId, messageId: id }
    expect(await eventsOf(id)).toEqual([
      {
        ...about,
        ...{ eventType: 'opened', openClass: 'proxy', smtpIpAddressId: addressId, aggregateVersion: 2 },
        ...{ occurredAt: minutesAfter(1).toISOString(), localDay: '2026-11-20' },
      },
      {
        ...about,
        ...{ eventType: 'opened', openClass: 'human', smtpIpAddressId: addressId, aggregateVersion: 3 },
        // Half past eleven at night in UTC is the next day in Berlin, where the tenant is.
        ...{ occurredAt: minutesAfter(45).toISOString(), localDay: '2026-11-21' },
      },
    ])
  })

  test('repeated as they are, they change nothing', async () => {
    const id = await writeMail(demo)
    const hits = [hit('OPEN', id), hit('CLICK', id, { linkIndex: 0 }), hit('UNSUBSCRIBE', id)]
    await record(hits)
    const [mail, events] = [await findMail(id), await eventsOf(id)]
    expect(events.map(({ eventType }) => eventType).sort()).toEqual(['clicked', 'opened', 'unsubscribed'])
    const announced = (await tier.announced(demo.tenantId)).length
    await Promise.all([record(hits), record(hits)])
    expect(await findMail(id)).toEqual(mail)
    expect(await tier.announced(demo.tenantId)).toHaveLength(announced)
  })

  test('a mail that bounced or was answered stays so', async () => {
    const id = await writeMail(demo, { status: 'replied' })
    await record([hit('OPEN', id)])
    expect(await findMail(id)).toMatchObject({ status: 'replied', humanOpenedAt: minutesAfter(30) })
  })

  test('ten at once are one', async () => {
    const id = await writeMail(demo)
    await Promise.all(Array.from({ length: 10 }, () => record([hit('OPEN', id)])))
    expect(await eventsOf(id)).toHaveLength(1)
  })

  test('of a mailbox that is gone by now are recorded all the same', async () => {
    const other = await foundTenant(tier)
    const id = await writeMail(other)
    await tier.db.system.emailAccount.updateMany({
      where: { tenantId: other.tenantId },
      data: { deletedAt: new Date() },
    })
    expect(await record([hit('OPEN', id, { tenantId: other.tenantId })])).toEqual([['RECORDED', 'HUMAN']])
    expect(await eventsOf(id, other)).toHaveLength(1)
  })
})

describe('clicks', () => {
  test('a scanner that follows all links is none; a person’s is one, and opens the mail', async () => {
    const id = await writeMail(demo)
    const burst = [0, 1, 2].map((linkIndex) => hit('CLICK', id, { linkIndex }))
    expect(await record(burst)).toEqual(Array(3).fill(['RECORDED', 'SCANNER']))
    expect(await findMail(id)).toMatchObject({ status: 'sent', clickedAt: null, version: 1 })
    const clicks = [50, 40].map((minutes) => hit('CLICK', id, { occurredAt: minutesAfter(minutes).toISOString() }))
    expect(await record(clicks)).toEqual([
      ['RECORDED', 'HUMAN'],
      ['RECORDED', 'HUMAN'],
    ])
    expect(await findMail(id)).toMatchObject({ status: 'opened', openedAt: null, clickedAt: minutesAfter(40) })
    expect(await eventsOf(id)).toMatchObject([{ eventType: 'clicked', openClass: 'human', aggregateVersion: 2 }])
  })
})

describe('unsubscribing', () => {
  async function stateOf({ tenantId, leadId, enrollmentId }: Workspace) {
    const { system } = tier.db
    const key = (id: string) => ({ where: { tenantId_id: { tenantId, id } } })
    const lead = await system.lead.findUniqueOrThrow(key(leadId))
    const enrollment = await system.campaignEnrollment.findUniqueOrThrow(key(enrollmentId))
    const suppressions = await system.suppression.findMany({ where: { tenantId } })
    const { status, stopReason, endedAt } = enrollment
    return {
      lead: [lead.status, lead.unsubscribedAt],
      enrollment: [status, stopReason, endedAt],
      suppressions: suppressions.map(({ email, reason, scope, sourceMessageId }) => [
        ...[email, reason, scope, sourceMessageId],
      ]),
    }
  }

  test('suppresses, ends campaigns, keeps back queued mail, and is announced and audited, once', async () => {
    const tenant = await foundTenant(tier)
    const id = await writeMail(tenant)
    const queued = await writeMail(tenant, { status: 'queued', sentAt: null })
    const sending = await writeMail(tenant, { status: 'sending', sentAt: null })
    const before = await stateOf(rival)
    const own = { tenantId: tenant.tenantId }
    expect(await record([hit('UNSUBSCRIBE', id, own)])).toEqual([['RECORDED', null]])
    const state = {
      lead: ['unsubscribed', minutesAfter(30)],
      enrollment: ['unsubscribed', 'unsubscribed', minutesAfter(30)],
      suppressions: [[emailOf(tenant.slug), 'unsubscribe', 'tenant', id]],
    }
    expect(await stateOf(tenant)).toEqual(state)
    expect(await findMail(id, tenant)).toMatchObject({ status: 'sent', unsubscribedAt: minutesAfter(30), version: 2 })
    expect(await findMail(queued, tenant)).toMatchObject({ status: 'failed', failureReason: 'unsubscribed' })
    expect(await findMail(sending, tenant)).toMatchObject({ status: 'sending' })
    expect(await eventsOf(id, tenant)).toMatchObject([{ eventType: 'unsubscribed', aggregateVersion: 2 }])
    const audits = (await tier.announced(tenant.tenantId)).filter(({ eventType }) => eventType === 'audit.recorded')
    expect(audits).toMatchObject([
      {
        aggregateType: 'Lead',
        aggregateId: tenant.leadId,
        payload: { action: 'lead.unsubscribed', ipAddress: '203.0.113.9', newValues: { messageId: id } },
      },
    ])

    const later = { ...own, occurredAt: minutesAfter(99).toISOString() }
    await record([hit('UNSUBSCRIBE', id, later)])
    // By another mail of the same sender: the same wish, which is not counted again.
    await record([hit('UNSUBSCRIBE', sending, later)])
    expect(await stateOf(tenant)).toEqual(state)
    const events = (await tier.announced(tenant.tenantId)).filter(({ eventType }) => eventType === 'email.unsubscribed')
    expect(events).toHaveLength(1)
    expect(await stateOf(rival)).toEqual(before)
  })

  test('counts for the address that was written to, also when the lead has another one or is gone', async () => {
    const tenant = await foundTenant(tier)
    const moved = await writeMail(tenant, { toEmail: 'old@customer.example' })
    const nobodys = await writeMail(tenant, { toEmail: 'stranger@customer.example', leadId: null })
    const own = { tenantId: tenant.tenantId }
    await record([hit('UNSUBSCRIBE', moved, own), hit('UNSUBSCRIBE', nobodys, own)])
    const { suppressions } = await stateOf(tenant)
    expect(suppressions.map(([email]) => email).sort()).toEqual(
      [emailOf(tenant.slug), 'old@customer.example', 'stranger@customer.example'].sort(),
    )
  })
})

describe('whom a hit concerns', () => {
  test('a mail of another tenant is unknown, and nothing happens in either', async () => {
    const theirs = await writeMail(rival)
    const [before, announced] = [await findMail(theirs, rival), await tier.announced(rival.tenantId)]
    const hits = (['OPEN', 'CLICK', 'UNSUBSCRIBE'] as const).map((kind) => hit(kind, theirs))
    expect(await record(hits)).toEqual(Array(3).fill(['UNKNOWN', null]))
    expect(await record([hit('OPEN', uuidv7())])).toEqual([['UNKNOWN', null]])
    expect(await findMail(theirs, rival)).toEqual(before)
    expect(await tier.announced(rival.tenantId)).toEqual(announced)
  })

  test('a batch of several tenants’ hits touches each one’s own', async () => {
    const [ours, theirs] = [await writeMail(demo), await writeMail(rival)]
    await record([hit('OPEN', ours), hit('OPEN', theirs, { tenantId: rival.tenantId })])
    expect(await findMail(ours)).toMatchObject({ humanOpenedAt: minutesAfter(30) })
    expect(await findMail(theirs, rival)).toMatchObject({ humanOpenedAt: minutesAfter(30) })
  })

  test('only services may record, and at most 1000 at once', async () => {
    const refused = await tier.ask(RECORD, { hits: [] }, userOf(demo.tenantId))
    expect(refused.errors?.[0]?.extensions.code).toBe('FORBIDDEN')
    const id = await writeMail(demo)
    const many = await tier.ask(RECORD, { hits: Array.from({ length: 1001 }, () => hit('OPEN', id)) }, SERVICE)
    expect(many.errors?.[0]?.extensions.code).toBe('LIMIT_REACHED')
  })
})
