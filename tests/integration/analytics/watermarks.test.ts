import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { runAsTenant } from '#platform/database/tenantScope.ts'
import { type AnalyticsTier, STAFF, startAnalyticsTier, userOf, WORKER } from './analyticsTier.ts'

let tier: AnalyticsTier
beforeAll(async () => {
  tier = await startAnalyticsTier()
})
afterAll(() => tier.stop())

const ADVANCE = 'mutation ($pipeline: String!, $upTo: DateTime!) { advanceWatermark(pipeline: $pipeline, upTo: $upTo) }'
const READ = '{ analyticsWatermarks { pipeline upTo } billingUsage { asOf } }'

function advance(upTo: string, { pipeline = 'email_events', caller = WORKER } = {}) {
  return tier.ask(ADVANCE, { pipeline, upTo }, caller)
}

describe('a watermark', () => {
  test('promises nothing before the pipeline first reports', async () => {
    const { data } = await tier.ask(READ, {}, userOf(randomUUID()))
    expect(data.billingUsage.asOf).toBe('1970-01-01T00:00:00.000Z')
  })

  test('goes forward and never back, whoever comes late', async () => {
    const times = Array.from({ length: 20 }, (_, n) => `2026-03-01T00:00:${String(n + 10)}.000Z`)
    await Promise.all(times.toSorted(() => Math.random() - 0.5).map((time) => advance(time)))
    expect((await advance('2026-02-01T00:00:00.000Z')).data.advanceWatermark).toBe(times.at(-1))
    for (const caller of [userOf(randomUUID()), userOf(randomUUID())]) {
      const { data } = await tier.ask(READ, {}, caller)
      expect(data.analyticsWatermarks).toEqual([{ pipeline: 'email_events', upTo: times.at(-1) }])
      expect(data.billingUsage.asOf).toBe(times.at(-1))
    }
    expect((await tier.ask('{ analyticsWatermarks { upTo } }', {}, STAFF)).data.analyticsWatermarks).toHaveLength(1)
  })

  test('is refused in the future, for an unknown pipeline, and from a user', async () => {
    const codeOf = async (answer: ReturnType<typeof advance>) => (await answer).errors?.[0]?.extensions.code
    expect(await codeOf(advance('9999-01-01T00:00:00.000Z'))).toBe('INVALID_INPUT')
    expect(await codeOf(advance('2026-03-01T00:00:00.000Z', { pipeline: 'weather' }))).toBe('INVALID_INPUT')
    const user = userOf(randomUUID(), 'owner')
    expect(await codeOf(advance('2026-03-01T00:00:00.000Z', { caller: user }))).toBe('FORBIDDEN')
  })

  test('is out of reach of the role that serves tenants', async () => {
    const update = () => tier.db.tenantSql.query("UPDATE analytics_watermarks SET watermark_at = 'infinity'")
    await expect(runAsTenant(randomUUID(), update)).rejects.toThrow('permission denied')
  })
})
