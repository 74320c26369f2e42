import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { EmailEventJob } from '#platform/contracts/emailEvent.ts'
import { runAsTenant } from '#platform/database/tenantScope.ts'
import { recordEmailEvents } from '../../../subgraphs/analytics/services/recordEvents.ts'
import { type AnalyticsTier, makeEvent, startAnalyticsTier } from './analyticsTier.ts'

let tier: AnalyticsTier
beforeAll(async () => {
  tier = await startAnalyticsTier()
})
afterAll(() => tier.stop())

const BATCHES = 20
const BATCH_SIZE = 200

describe('twenty writers at once', () => {
  test('with overlapping batches in any order, every event counts once and nobody deadlocks', async () => {
    const tenantId = randomUUID()
    const pool = (count: number) => Array.from({ length: count }, () => randomUUID())
    const [campaigns, steps, mailboxes, leads, addresses, messages] = [5, 15, 8, 40, 3, 300].map(pool) as string[][]
    const types = ['sent', 'delivered', 'opened', 'clicked', 'replied', 'bounced'] as const
    const events = Array.from({ length: 1200 }, (_, n) =>
      makeEvent({
        tenantId,
        eventType: types[n % types.length],
        localDay: `2026-03-0${1 + (n % 4)}`,
        campaignId: any(campaigns),
        stepId: any(steps),
        emailAccountId: any(mailboxes),
        leadId: any(leads),
        smtpIpAddressId: any(addresses),
        messageId: any(messages),
      }),
    )
    // Every writer carries a sixth of all events, in an order of its own: each event is told about three times.
    const batches = Array.from({ length: BATCHES }, () => shuffled(events).slice(0, BATCH_SIZE))
    const rest = events.filter((event) => !batches.some((batch) => batch.includes(event)))
    const before = await countDeadlocks()
    const outcomes = await Promise.all(batches.map((batch) => recordEmailEvents(tier.db.tenantSql, batch)))
    await recordEmailEvents(tier.db.tenantSql, rest)
    expect(await countDeadlocks()).toBe(before)

    const recorded = outcomes.flat().filter(({ status }) => status === 'recorded').length
    expect(recorded + rest.length).toBe(events.length)
    for (const table of ['campaignAnalytics', 'sequenceStepAnalytics', 'mailboxAnalytics', 'leadAnalytics'] as const) {
      expect(await sums(tenantId, table)).toEqual({
        sent: 200n,
        delivered: 200n,
        replied: 200n,
        bounced: 200n,
        openedTracked: BigInt(distinctMessages(events, 'opened')),
        clickedTracked: BigInt(distinctMessages(events, 'clicked')),
      })
    }
    expect(await sums(randomUUID(), 'campaignAnalytics')).toMatchObject({ sent: null })
  })

  test('of different tenants that share an address, the platform counts all', async () => {
    const smtpIpAddressId = randomUUID()
    const tenants = Array.from({ length: BATCHES }, () => randomUUID())
    await Promise.all(
      tenants.map((tenantId) =>
        recordEmailEvents(
          tier.db.tenantSql,
          Array.from({ length: 20 }, () => makeEvent({ tenantId, smtpIpAddressId })),
        ),
      ),
    )
    const row = await tier.db.system.infrastructureAnalytics.aggregate({
      where: { tenantId: '00000000-0000-0000-0000-000000000000', entityId: smtpIpAddressId },
      _sum: { sent: true },
    })
    expect(row._sum.sent).toBe(400n)
  })
})

async function sums(
  tenantId: string,
  table: 'campaignAnalytics' | 'sequenceStepAnalytics' | 'mailboxAnalytics' | 'leadAnalytics',
) {
  const counters = {
    sent: true,
    delivered: true,
    replied: true,
    bounced: true,
    openedTracked: true,
    clickedTracked: true,
  }
  // biome-ignore lint/suspicious/noExplicitAny: four models of one shape
  const delegate = tier.db.tenant[table] as any
  const { _sum } = await runAsTenant(tenantId, () => delegate.aggregate({ _sum: counters }))
  return _sum
}

async function countDeadlocks(): Promise<number> {
  const { rows } = await tier.owner.query(
    'SELECT pg_stat_force_next_flush(), deadlocks::int FROM pg_stat_database WHERE datname = current_database()',
  )
  return rows[0].deadlocks
}

function distinctMessages(events: readonly EmailEventJob[], type: string): number {
  return new Set(events.filter(({ eventType }) => eventType === type).map(({ messageId }) => messageId)).size
}

function any<Item>(items: readonly Item[] | undefined): Item {
  return items?.[Math.floor(Math.random() * items.length)] as Item
}

function shuffled<Item>(items: readonly Item[]): Item[] {
  return items
    .map((item) => ({ item, at: Math.random() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ item }) => item)
}
