import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals'
import { setClock } from '#platform/clock.ts'
import { LONGEST_GAP_MS } from '../../../subgraphs/oltp/services/sending/slots.ts'
import { type OltpTier, startOltpTier } from './oltpTier.ts'
import { launch, mailsOf, makeSendingWorld, planAll, setNow } from './sendingWorld.ts'

let tier: OltpTier
beforeAll(async () => {
  tier = await startOltpTier({ content: true })
})
afterAll(() => tier?.stop())
afterEach(() => setClock({ speed: 1, originAt: 0 }))

/** Planning takes a while, by which later batches are spread later. */
const TOLERANCE_MS = 60_000

test("a mailbox's mails lie apart, in however many batches they are planned, and planned again", async () => {
  setNow('2026-11-23T09:00:00Z')
  const hours = { from: '09:00', to: '17:00', days: [1, 2, 3, 4, 5] }
  // More leads than a batch takes, and of each mailbox some in every batch.
  const world = await makeSendingWorld(tier, { leads: 600, mailboxes: 200, window: hours })
  await launch(tier, world, new Date('2026-11-23T09:00:00Z'))
  expect((await planAll(tier, world)).planned).toBe(600)
  await expectQuarters(world.tenantId, '2026-11-23T09:00:00Z')

  // No worker was there that day.
  setNow('2026-11-24T09:00:00Z')
  await planAll(tier, world)
  await expectQuarters(world.tenantId, '2026-11-24T09:00:00Z')
}, 60_000)

/** Each of the mailboxes has a mail in the first quarter of an hour, one in the second, one in the third. */
async function expectQuarters(tenantId: string, from: string): Promise<void> {
  const mails = await mailsOf(tier, tenantId)
  expect(mails).toHaveLength(600)
  const counts = new Map<string, number>()
  for (const { emailAccountId, scheduledAt } of mails) {
    const before = counts.get(emailAccountId) ?? 0
    counts.set(emailAccountId, before + 1)
    const offset = (scheduledAt?.getTime() ?? 0) - Date.parse(from)
    expect(offset).toBeGreaterThanOrEqual(before * LONGEST_GAP_MS - TOLERANCE_MS)
    expect(offset).toBeLessThan((before + 1) * LONGEST_GAP_MS + TOLERANCE_MS)
  }
  expect([...counts.values()]).toEqual(Array.from({ length: 200 }, () => 3))
}
