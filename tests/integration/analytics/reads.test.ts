import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { countStatements } from '#platform/database/statementCount.ts'
import { runAsTenant } from '#platform/database/tenantScope.ts'
import { recordEmailEvents } from '../../../subgraphs/analytics/services/recordEvents.ts'
import { type AnalyticsTier, makeEvent, STAFF, startAnalyticsTier, userOf } from './analyticsTier.ts'

let tier: AnalyticsTier
const [mine, theirs] = [randomUUID(), randomUUID()]
const id = {
  campaignId: randomUUID(),
  stepId: randomUUID(),
  emailAccountId: randomUUID(),
  leadId: randomUUID(),
  messageId: randomUUID(),
  domainId: randomUUID(),
  smtpIpAddressId: randomUUID(),
}
beforeAll(async () => {
  tier = await startAnalyticsTier()
  const day = (n: number, hour = 10) => ({
    occurredAt: `2026-03-0${n}T${hour}:00:00.000Z`,
    localDay: `2026-03-0${n}`,
  })
  await recordEmailEvents(tier.db.tenantSql, [
    makeEvent({ tenantId: mine, ...id, ...day(1) }),
    makeEvent({ tenantId: mine, ...id, ...day(2) }),
    makeEvent({ tenantId: mine, ...id, ...day(3), eventType: 'delivered' }),
    makeEvent({ tenantId: mine, ...id, ...day(3, 11), eventType: 'opened' }),
    makeEvent({ tenantId: mine, ...id, ...day(3, 12), eventType: 'opened' }),
    makeEvent({ tenantId: mine, ...id, ...day(9), eventType: 'replied' }),
  ])
})
afterAll(() => tier.stop())

const ENTITIES = `query ($r: [_Any!]!) { _entities(representations: $r) {
  ... on Campaign { analytics { sent delivered openedTracked replied replyRate asOf campaign { id } }
    timeSeries(range: { from: "2026-01-01T00:00:00Z", to: "2027-01-01T00:00:00Z" }, granularity: WEEK) { day sent }
    funnel { stages { name count ofSent } } }
  ... on CampaignSequenceStep { analytics { sent } }
  ... on EmailAccount { analytics { sent received } warmup { status days { day } } health { healthScore sent } }
  ... on Lead { analytics { sent } events(first: 2) { totalCount nodes { eventType lead { id } } pageInfo { hasNextPage } } }
  ... on InboxMessageRef { events { nodes { eventType } } }
  ... on Domain { analytics { sent loadPercentage history { day } } }
  ... on SmtpIpAddress { analytics { sent loadPercentage } }
  ... on VpsInstance { analytics { sent } }
} }`

const KINDS = {
  Campaign: 'campaignId',
  CampaignSequenceStep: 'stepId',
  EmailAccount: 'emailAccountId',
  Lead: 'leadId',
  InboxMessageRef: 'messageId',
  Domain: 'domainId',
  SmtpIpAddress: 'smtpIpAddressId',
} as const
const representations = (ids: Record<keyof typeof id, string>) =>
  Object.entries(KINDS).map(([__typename, key]) => ({ __typename, id: ids[key] }))

describe('what this tier adds to the entities of others', () => {
  test('is the facts of the tenant', async () => {
    const { data, errors } = await tier.ask(ENTITIES, { r: representations(id) }, userOf(mine))
    expect(errors).toBeUndefined()
    const [campaign, step, mailbox, lead, message, domain, address] = data._entities
    expect(campaign).toEqual({
      analytics: {
        sent: 2,
        delivered: 1,
        openedTracked: 1,
        replied: 1,
        replyRate: 0.5,
        asOf: '1970-01-01T00:00:00.000Z',
        campaign: { id: id.campaignId },
      },
      timeSeries: [
        { day: '2026-02-23', sent: 1 },
        { day: '2026-03-02', sent: 1 },
        { day: '2026-03-09', sent: 0 },
      ],
      funnel: {
        stages: [
          { name: 'SENT', count: 2, ofSent: 1 },
          { name: 'DELIVERED', count: 1, ofSent: 0.5 },
          { name: 'OPENED', count: 1, ofSent: 0.5 },
          { name: 'CLICKED', count: 0, ofSent: 0 },
          { name: 'REPLIED', count: 1, ofSent: 0.5 },
        ],
      },
    })
    expect(step).toEqual({ analytics: { sent: 2 } })
    expect(mailbox).toMatchObject({ analytics: { sent: 2, received: 0 }, warmup: { status: null, days: [] } })
    expect(lead.analytics.sent).toBe(2)
    expect(lead.events).toEqual({
      totalCount: 6,
      nodes: [
        { eventType: 'REPLIED', lead: { id: id.leadId } },
        { eventType: 'OPENED', lead: { id: id.leadId } },
      ],
      pageInfo: { hasNextPage: true },
    })
    expect(message.events.nodes).toHaveLength(6)
    expect(domain.analytics).toMatchObject({ sent: 2, loadPercentage: null })
    expect(address.analytics).toEqual({ sent: 2, loadPercentage: null })
  })

  test('of a tenant as a whole is what its campaigns sent to its leads, in a range or ever; of another tenant there is none', async () => {
    const query = `query ($r: [_Any!]!) { _entities(representations: $r) { ... on LeadStats {
      ever: analytics { sent openedTracked replied replyRate }
      first: analytics(range: { from: "2026-03-01T00:00:00Z", to: "2026-03-02T00:00:00Z" }) { sent replied replyRate } } } }`
    const r = [mine, theirs].map((tenantId) => ({ __typename: 'LeadStats', id: tenantId }))
    const ever = { sent: 2, openedTracked: 1, replied: 1, replyRate: 0.5 }
    expect((await tier.ask(query, { r }, userOf(mine))).data._entities).toEqual([
      { ever, first: { sent: 1, replied: 0, replyRate: 0 } },
      null,
    ])
  })

  test("of another tenant's ids reads exactly like that of ids that don't exist", async () => {
    const asRival = await tier.ask(ENTITIES, { r: representations(id) }, userOf(theirs))
    const unknown = Object.fromEntries(Object.keys(id).map((key) => [key, randomUUID()])) as typeof id
    const asNobody = await tier.ask(ENTITIES, { r: representations(unknown) }, userOf(theirs))
    asRival.data._entities[0].analytics.campaign.id = 'any'
    asNobody.data._entities[0].analytics.campaign.id = 'any'
    expect(asRival).toEqual(asNobody)
    expect(asRival.data._entities[0].analytics).toMatchObject({ sent: 0, replied: 0 })
    const malformed = await tier.ask(ENTITIES, { r: [{ __typename: 'Campaign', id: "'; DROP" }] }, userOf(mine))
    expect(malformed.data._entities).toEqual([null])
  })

  test('costs as many statements for a hundred campaigns as for one', async () => {
    const cost = async (count: number) => {
      const r = Array.from({ length: count }, (_, n) => ({
        __typename: 'Campaign',
        id: n === 0 ? id.campaignId : randomUUID(),
      }))
      const { result, statements } = await countStatements(tier.db, () => tier.ask(ENTITIES, { r }, userOf(mine)))
      expect(result.data._entities).toHaveLength(count)
      expect(result.data._entities[0].analytics.sent).toBe(2)
      return statements.filter((text) => !text.includes('outbox_events')).length
    }
    expect(await cost(1)).toBe(2)
    expect(await cost(100)).toBe(2)
  })

  test('is two statements for the events of a hundred leads', async () => {
    const r = Array.from({ length: 100 }, (_, n) => ({ __typename: 'Lead', id: n === 0 ? id.leadId : randomUUID() }))
    const query =
      'query ($r: [_Any!]!) { _entities(representations: $r) { ... on Lead { events { nodes { eventType } } } } }'
    const { result, statements } = await countStatements(tier.db, () => tier.ask(query, { r }, userOf(mine)))
    expect(result.data._entities[0].events.nodes).toHaveLength(6)
    expect(statements.filter((text) => !text.includes('outbox_events'))).toHaveLength(2)
  })

  test('is read by staff as the platform sees it, and tenants’ own numbers are not', async () => {
    const r = representations(id).slice(5)
    const { data } = await tier.ask(ENTITIES, { r }, STAFF)
    expect(data._entities.map((entity: { analytics: { sent: number } }) => entity.analytics.sent)).toEqual([0, 2])
    const campaign = await tier.ask(ENTITIES, { r: representations(id).slice(0, 1) }, STAFF)
    expect(campaign.errors?.[0]?.extensions.code).toBe('FORBIDDEN')
  })
})

describe('a range', () => {
  const SENT = `query ($r: [_Any!]!, $range: DateRange) {
    _entities(representations: $r) { ... on Campaign { analytics(range: $range) { sent } } } }`
  const r = [{ __typename: 'Campaign', id: id.campaignId }]
  const ask = (from: string, to: string) => tier.ask(SENT, { r, range: { from, to } }, userOf(mine))

  test('counts every local day that it touches, its end excluded', async () => {
    const sent = async (from: string, to: string) => (await ask(from, to)).data._entities[0].analytics.sent
    expect(await sent('2026-03-01T00:00:00Z', '2026-03-02T00:00:00Z')).toBe(1)
    expect(await sent('2026-03-01T00:00:00Z', '2026-03-02T00:00:00.001Z')).toBe(2)
    expect(await sent('2026-03-01T23:59:59Z', '2026-03-02T00:00:00Z')).toBe(1)
    expect(await sent('2026-03-02T00:00:00Z', '2026-03-09T00:00:00Z')).toBe(1)
    expect(await sent('0001-01-01T00:00:00Z', '9999-12-31T23:00:00Z')).toBe(2)
  })

  test('that ends before it begins is refused', async () => {
    const { errors } = await ask('2026-03-02T00:00:00Z', '2026-03-02T00:00:00Z')
    expect(errors?.[0]?.extensions.code).toBe('INVALID_INPUT')
  })
})

describe('the lists', () => {
  test('of events are paged, filtered and only of the tenant', async () => {
    const query = `query ($first: Int, $after: String, $filter: EmailEventFilter) {
      emailEvents(first: $first, after: $after, filter: $filter) {
        totalCount nodes { id eventType localDay } pageInfo { hasNextPage endCursor } } }`
    const seen: string[] = []
    let after: string | null = null
    do {
      const { data } = await tier.ask(query, { first: 4, after }, userOf(mine))
      seen.push(...data.emailEvents.nodes.map((node: { id: string }) => node.id))
      after = data.emailEvents.pageInfo.hasNextPage ? data.emailEvents.pageInfo.endCursor : null
    } while (after)
    expect(new Set(seen).size).toBe(6)
    const count = async (filter: object, tenantId = mine) =>
      (await tier.ask(query, { filter }, userOf(tenantId))).data.emailEvents.totalCount
    expect(await count({ eventType: 'OPENED' })).toBe(2)
    expect(await count({ campaignId: id.campaignId, eventType: 'REPLIED' })).toBe(1)
    expect(await count({ range: { from: '2026-03-02T10:00:00Z', to: '2026-03-03T10:00:00Z' } })).toBe(1)
    expect(await count({ leadId: 'nonsense' })).toBe(0)
    expect(await count({ campaignId: id.campaignId }, theirs)).toBe(0)
    for (const variables of [{ first: 1e9 }, { first: 0 }, { after: 'nonsense' }]) {
      const { errors } = await tier.ask(query, variables, userOf(mine))
      expect(errors?.[0]?.extensions.code).toBe('INVALID_INPUT')
    }
  })

  test('by ids answer in the order asked for, a foreign id like an unknown one', async () => {
    const ids = [randomUUID(), id.emailAccountId]
    const query = `query ($ids: [ID!]!) { mailboxAnalytics(ids: $ids) { sent emailAccount { id } }
      warmupAnalytics(ids: $ids) { days { day } } leadAnalytics(ids: $ids) { sent } }`
    const { data } = await tier.ask(query, { ids }, userOf(mine))
    expect(data.mailboxAnalytics).toEqual([
      { sent: 0, emailAccount: { id: ids[0] } },
      { sent: 2, emailAccount: { id: ids[1] } },
    ])
    const rival = await tier.ask(query, { ids }, userOf(theirs))
    expect(rival.data.mailboxAnalytics.map(({ sent }: { sent: number }) => sent)).toEqual([0, 0])
    const many = await tier.ask(query, { ids: Array.from({ length: 101 }, () => randomUUID()) }, userOf(mine))
    expect(many.errors?.[0]?.extensions.code).toBe('INVALID_INPUT')
    const steps = (tenant: string) =>
      tier.ask(`{ stepAnalytics(campaignId: "${id.campaignId}") { sent step { id } } }`, {}, userOf(tenant))
    expect((await steps(mine)).data.stepAnalytics).toEqual([{ sent: 2, step: { id: id.stepId } }])
    expect((await steps(theirs)).data.stepAnalytics).toEqual([])
  })

  test('of usage come from billing where it recorded a period, else from the facts', async () => {
    const now = new Date()
    const [localDay = ''] = now.toISOString().split('T')
    const tenantId = randomUUID()
    const sent = () => makeEvent({ tenantId, ...id, localDay, occurredAt: now.toISOString() })
    await recordEmailEvents(tier.db.tenantSql, [sent(), sent()])
    const query = `{ billingUsage { emailsSent mailboxesUsed domainsUsed campaignsUsed leadsUsed storageBytes }
      usageHistory(months: 3) { emailsSent periodStartAt } }`
    const before = await tier.ask(query, {}, userOf(tenantId))
    expect(before.data.billingUsage).toEqual({
      emailsSent: 2,
      mailboxesUsed: 1,
      domainsUsed: 1,
      campaignsUsed: 1,
      leadsUsed: 1,
      storageBytes: 0,
    })
    expect(before.data.usageHistory.map((usage: { emailsSent: number }) => usage.emailsSent)).toEqual([2, 0, 0])
    const period = { periodStartAt: new Date(now.getTime() - 1000), periodEndAt: new Date(now.getTime() + 3_600_000) }
    await runAsTenant(tenantId, () =>
      tier.db.tenant.billingAnalytics.create({
        data: { tenantId, ...period, emailsSent: 3_000_000_000n, storageBytes: 9_000_000_000_000n },
      }),
    )
    const { data } = await tier.ask(query, {}, userOf(tenantId))
    expect(data.billingUsage).toMatchObject({ emailsSent: 2_147_483_647, storageBytes: 9_000_000_000_000 })
    expect(data.usageHistory).toHaveLength(1)
    expect((await tier.ask(query, {}, userOf(randomUUID()))).data.billingUsage).toMatchObject({ emailsSent: 0 })
  })

  test("a tenant is its own, another one's reads as nothing", async () => {
    const query =
      'query ($r: [_Any!]!) { _entities(representations: $r) { ... on Tenant { id billing { emailsSent } } } }'
    const r = [mine, theirs, randomUUID()].map((tenant) => ({ __typename: 'Tenant', id: tenant }))
    const { data } = await tier.ask(query, { r }, userOf(mine))
    expect(data._entities).toEqual([expect.objectContaining({ id: mine }), null, null])
  })

  test('of servers and addresses are for staff', async () => {
    const query = `{ infrastructureAnalytics(kind: SMTP_IP_ADDRESS) { id kind sent } }`
    const { data } = await tier.ask(query, {}, STAFF)
    expect(data.infrastructureAnalytics).toContainEqual({
      id: id.smtpIpAddressId,
      kind: 'SMTP_IP_ADDRESS',
      sent: 2 + 2,
    })
    const { errors } = await tier.ask(query, {}, userOf(mine, 'owner'))
    expect(errors?.[0]?.extensions.code).toBe('FORBIDDEN')
  })
})
