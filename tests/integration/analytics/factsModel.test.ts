import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { EMAIL_EVENT_TYPES, type EmailEventJob } from '#platform/contracts/emailEvent.ts'
import { runAsTenant } from '#platform/database/tenantScope.ts'
import { recordEmailEvents } from '../../../subgraphs/analytics/services/recordEvents.ts'
import { type AnalyticsTier, startAnalyticsTier } from './analyticsTier.ts'
import { FactsModel, type ModelCounts } from './factsModel.ts'

let tier: AnalyticsTier
beforeAll(async () => {
  tier = await startAnalyticsTier()
})
afterAll(() => tier.stop())

const TABLES = {
  campaignId: 'campaignAnalytics',
  stepId: 'sequenceStepAnalytics',
  emailAccountId: 'mailboxAnalytics',
  leadId: 'leadAnalytics',
} as const
const COUNTERS = [
  'sent',
  'delivered',
  'received',
  'openedTracked',
  'openedByPerson',
  'clickedTracked',
  'replied',
  'bounced',
  'unsubscribed',
  'spamComplaints',
]

/** A few ids of each kind, so that events meet often; the two tenants use the same ones. */
const pick = (count: number) => fc.constantFrom(...Array.from({ length: count }, () => randomUUID()))
const optional = (count: number) => fc.option(pick(count), { freq: 4 })
const day = fc.integer({ min: 1, max: 3 }).map((n) => `2026-03-0${n}`)
const eventOf = (tenants: string[]) =>
  fc.record({
    tenantId: fc.constantFrom(...tenants),
    eventId: pick(60),
    eventType: fc.constantFrom(...EMAIL_EVENT_TYPES),
    occurredAt: fc
      .integer({ min: 0, max: 5000 })
      .map((minute) => new Date(Date.UTC(2026, 1, 27, 0, minute)).toISOString()),
    acceptedAt: fc.constant('2026-03-04T00:00:00.000Z'),
    localDay: day,
    campaignId: optional(2),
    stepId: optional(3),
    emailAccountId: optional(2),
    leadId: optional(3),
    messageId: optional(4),
    openClass: fc.constantFrom('human', 'proxy', 'prefetch', 'scanner', null),
  })

test('after any batches of events, with repeats and clashes, the facts are what counting by hand gives', async () => {
  const tenants = fc.constant(null).map(() => [randomUUID(), randomUUID()])
  const batches = tenants.chain((ids) =>
    fc.record({
      tenants: fc.constant(ids),
      batches: fc.array(fc.array(eventOf(ids), { maxLength: 60, size: 'max' }), { maxLength: 4, size: 'max' }),
    }),
  )
  await fc.assert(
    fc.asyncProperty(batches, async ({ tenants, batches }) => {
      const fresh = renameTenants(tenants, batches)
      const models = Object.keys(TABLES).map((entity) => new FactsModel(entity as keyof typeof TABLES))
      for (const batch of fresh.batches) {
        await recordEmailEvents(tier.db.tenantSql, batch)
        for (const model of models) model.add(batch)
      }
      for (const tenantId of fresh.tenants) {
        for (const model of models) {
          expect(await readFacts(tenantId, model.entity as keyof typeof TABLES)).toEqual(model.of(tenantId))
        }
      }
    }),
    { numRuns: 40 },
  )
}, 120_000)

/** Each run, shrinking included, begins with tenants that have no history. */
function renameTenants(tenants: readonly string[], batches: readonly (readonly EmailEventJob[])[]) {
  const names = new Map(tenants.map((id) => [id, randomUUID()]))
  const rename = (id: string) => names.get(id) as string
  return {
    tenants: tenants.map(rename),
    batches: batches.map((batch) => batch.map((event) => ({ ...event, tenantId: rename(event.tenantId) }))),
  }
}

async function readFacts(tenantId: string, entity: keyof typeof TABLES): Promise<[string, ModelCounts][]> {
  // biome-ignore lint/suspicious/noExplicitAny: four models of one shape
  const delegate = tier.db.tenant[TABLES[entity]] as any
  const rows: Record<string, unknown>[] = await runAsTenant(tenantId, () => delegate.findMany())
  return rows
    .map((row): [string, ModelCounts] => [
      `${row[entity]} ${(row.localDay as Date).toISOString().slice(0, 10)}`,
      Object.fromEntries(COUNTERS.map((name) => [name, Number(row[name])]).filter(([, count]) => count !== 0)),
    ])
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
}
