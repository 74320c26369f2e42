import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { EmailEventJob } from '#platform/contracts/emailEvent.ts'
import { PLATFORM_TENANT, runAsTenant } from '#platform/database/tenantScope.ts'
import { recordEmailEvents } from '../../../subgraphs/analytics/services/recordEvents.ts'
import { type AnalyticsTier, makeEvent, startAnalyticsTier, userOf, WORKER } from './analyticsTier.ts'

let tier: AnalyticsTier
beforeAll(async () => {
  tier = await startAnalyticsTier()
})
afterAll(() => tier.stop())

async function record(events: readonly EmailEventJob[]) {
  return (await recordEmailEvents(tier.db.tenantSql, events)).map(({ status }) => status)
}

async function campaignFacts(tenantId: string, campaignId: string) {
  const rows = await runAsTenant(tenantId, () => tier.db.tenant.campaignAnalytics.findMany({ where: { campaignId } }))
  const sum = (pick: (row: (typeof rows)[number]) => bigint) =>
    rows.reduce((total, row) => total + Number(pick(row)), 0)
  return {
    sent: sum((row) => row.sent),
    openedTracked: sum((row) => row.openedTracked),
    openedByPerson: sum((row) => row.openedByPerson),
    clickedTracked: sum((row) => row.clickedTracked),
    replied: sum((row) => row.replied),
    spamComplaints: sum((row) => row.spamComplaints),
  }
}

describe('recording mail events', () => {
  test('a repeated batch changes nothing', async () => {
    const tenantId = randomUUID()
    const campaignId = randomUUID()
    const events = Array.from({ length: 50 }, () => makeEvent({ tenantId, campaignId }))
    expect(new Set(await record(events))).toEqual(new Set(['recorded']))
    expect(new Set(await record(events))).toEqual(new Set(['duplicate']))
    expect(await campaignFacts(tenantId, campaignId)).toMatchObject({ sent: 50 })
    expect(await campaignFacts(randomUUID(), campaignId)).toMatchObject({ sent: 0 })
  })

  test('an event told again with another time, type and month counts once', async () => {
    const event = makeEvent({ tenantId: randomUUID(), campaignId: randomUUID() })
    const retold: EmailEventJob = { ...event, eventType: 'replied', occurredAt: '2019-07-01T00:00:00.000Z' }
    const upperCase = { ...event, eventId: event.eventId.toUpperCase() }
    expect(await record([event, retold])).toEqual(['recorded', 'duplicate'])
    expect(await record([retold, upperCase])).toEqual(['duplicate', 'duplicate'])
    expect(await campaignFacts(event.tenantId, event.campaignId as string)).toMatchObject({ sent: 1, replied: 0 })
    const kept = await runAsTenant(event.tenantId, () => tier.db.tenant.emailEvent.count())
    expect(kept).toBe(1)
  })

  test('the same event id of two tenants is two events', async () => {
    const mine = makeEvent({ tenantId: randomUUID(), campaignId: randomUUID() })
    const theirs = { ...mine, tenantId: randomUUID() }
    expect(await record([mine, theirs])).toEqual(['recorded', 'recorded'])
    for (const { tenantId } of [mine, theirs]) {
      expect(await campaignFacts(tenantId, mine.campaignId as string)).toMatchObject({ sent: 1 })
    }
  })

  test('only the first open and the first click of a mail count, and an open by a machine is not one by a person', async () => {
    const parts = { tenantId: randomUUID(), campaignId: randomUUID(), messageId: randomUUID() }
    const open = (openClass: EmailEventJob['openClass']) => makeEvent({ ...parts, eventType: 'opened', openClass })
    await record([open('proxy'), open('prefetch')])
    expect(await campaignFacts(parts.tenantId, parts.campaignId)).toMatchObject({ openedTracked: 1, openedByPerson: 0 })
    await record([open('human'), open(null)])
    await record([open('human'), makeEvent({ ...parts, eventType: 'clicked' })])
    await record([makeEvent({ ...parts, eventType: 'clicked' })])
    expect(await campaignFacts(parts.tenantId, parts.campaignId)).toMatchObject({
      openedTracked: 1,
      openedByPerson: 1,
      clickedTracked: 1,
    })
  })

  test('of two opens in one batch the earlier one counts, on its own day', async () => {
    const parts = { tenantId: randomUUID(), campaignId: randomUUID(), messageId: randomUUID() }
    const later = makeEvent({
      ...parts,
      eventType: 'opened',
      occurredAt: '2026-03-04T10:00:00Z',
      localDay: '2026-03-04',
    })
    const earlier = makeEvent({ ...parts, eventType: 'opened' })
    expect(await record([later, earlier])).toEqual(['recorded', 'recorded'])
    const days = await runAsTenant(parts.tenantId, () =>
      tier.db.tenant.campaignAnalytics.findMany({ where: { openedTracked: { gt: 0 } }, select: { localDay: true } }),
    )
    expect(days).toEqual([{ localDay: new Date('2026-03-02') }])
  })

  test('every reply counts, and complaints arrive in their own column', async () => {
    const parts = { tenantId: randomUUID(), campaignId: randomUUID(), messageId: randomUUID() }
    const types = ['replied', 'replied', 'complained'] as const
    await record(types.map((eventType) => makeEvent({ ...parts, eventType })))
    expect(await campaignFacts(parts.tenantId, parts.campaignId)).toMatchObject({ replied: 2, spamComplaints: 1 })
  })

  test('mail of any age is counted', async () => {
    const parts = { tenantId: randomUUID(), campaignId: randomUUID() }
    const times = ['1970-01-01T00:00:00Z', '2002-08-22T12:36:23Z', '9999-12-31T23:59:59Z']
    const events = times.map((time) => makeEvent({ ...parts, occurredAt: time, localDay: time.slice(0, 10) }))
    expect(await record(events)).toEqual(['recorded', 'recorded', 'recorded'])
    expect(await campaignFacts(parts.tenantId, parts.campaignId)).toMatchObject({ sent: 3 })
  })

  test('a faulty event is rejected alone, with the reason', async () => {
    const tenantId = randomUUID()
    const campaignId = randomUUID()
    const good = () => makeEvent({ tenantId, campaignId })
    const told = [
      good(),
      { eventId: 'no-uuid', tenantId },
      { ...good(), eventType: 'exploded' },
      // Passes every check of ours; only the database knows that there was no year 0.
      { ...good(), localDay: '0000-01-01' },
      good(),
    ]
    const outcomes = await recordEmailEvents(tier.db.tenantSql, told)
    expect(outcomes.map(({ status }) => status)).toEqual(['recorded', 'rejected', 'rejected', 'rejected', 'recorded'])
    expect(outcomes[2]?.error).toMatch(/^eventType:/)
    expect(outcomes[3]?.error).toMatch(/out of range/)
    expect(await campaignFacts(tenantId, campaignId)).toMatchObject({ sent: 2 })
  })

  test("an address' facts belong to the platform, all tenants' mail together; a tenant sees its own share", async () => {
    const smtpIpAddressId = randomUUID()
    const [mine, theirs] = [randomUUID(), randomUUID()]
    const sent = (tenantId: string, count: number) =>
      Array.from({ length: count }, () => makeEvent({ tenantId, smtpIpAddressId, domainId: randomUUID() }))
    await record([...sent(mine, 2), ...sent(theirs, 3)])
    const sentAs = async (tenantId: string) => {
      const rows = await runAsTenant(tenantId, () =>
        tier.db.tenant.infrastructureAnalytics.findMany({ where: { entityId: smtpIpAddressId } }),
      )
      return rows.map((row) => Number(row.sent))
    }
    expect(await sentAs(mine)).toEqual([2])
    expect(await sentAs(theirs)).toEqual([3])
    expect(await sentAs(PLATFORM_TENANT)).toEqual([5])
    expect(await sentAs(randomUUID())).toEqual([])
  })

  test('is for services: a user is refused, and more than a thousand events at once are', async () => {
    const mutation = `mutation ($events: [EmailEventInput!]!) { recordEmailEvents(events: $events) { eventId status error } }`
    const event = makeEvent({ tenantId: randomUUID() })
    const asUser = await tier.ask(mutation, { events: [event] }, userOf(event.tenantId, 'owner'))
    expect(asUser.errors?.[0]?.extensions.code).toBe('FORBIDDEN')
    const many = await tier.ask(mutation, { events: Array(1001).fill(event) }, WORKER)
    expect(many.errors?.[0]?.extensions.code).toBe('LIMIT_REACHED')
    const asWorker = await tier.ask(mutation, { events: [event, event] }, WORKER)
    expect(asWorker.data.recordEmailEvents).toEqual([
      { eventId: event.eventId, status: 'RECORDED', error: null },
      { eventId: event.eventId, status: 'DUPLICATE', error: null },
    ])
  })
})
