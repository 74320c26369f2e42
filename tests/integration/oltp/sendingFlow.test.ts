import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { setClock } from '#platform/clock.ts'
import { type OltpTier, startOltpTier, userOf } from './oltpTier.ts'
import {
  begin,
  budgetsOf,
  finish,
  launch,
  mailsOf,
  makeSendingWorld,
  openWindows,
  plan,
  planAll,
  sendAll,
  setNow,
} from './sendingWorld.ts'

let tier: OltpTier
beforeAll(async () => {
  tier = await startOltpTier({ content: true })
})
afterAll(() => tier?.stop())
afterEach(() => setClock({ speed: 1, originAt: 0 }))

const MONDAY = '2026-11-23T09:00:00.000Z'
const enrollmentsOf = (tenantId: string) =>
  tier.db.system.campaignEnrollment.findMany({ where: { tenantId }, orderBy: { id: 'asc' } })

describe('a campaign of one step', () => {
  test('is planned, sent and completed; each lead gets one mail', async () => {
    setNow(MONDAY)
    const world = await makeSendingWorld(tier, { leads: 10, window: { from: '09:00', to: '17:00' } })
    await launch(tier, world, new Date(MONDAY))
    const { planned } = await planAll(tier, world)
    expect(planned).toBe(10)

    const mails = await mailsOf(tier, world.tenantId)
    expect(new Set(mails.map(({ leadId }) => leadId)).size).toBe(10)
    expect(new Set(mails.map(({ emailAccountId }) => emailAccountId)).size).toBe(2)
    expect(mails[0]).toMatchObject({
      status: 'queued',
      subject: expect.stringMatching(/^Hi Lee \d$/),
      threadId: mails[0]?.id,
    })
    const announced = await tier.announced(world.tenantId)
    expect(announced.filter(({ eventType }) => eventType === 'mail.due')).toHaveLength(10)

    expect(await planAll(tier, world)).toMatchObject({ planned: 0 })
    expect(await sendAll(tier, world.tenantId)).toBe(10)
    expect((await mailsOf(tier, world.tenantId)).map(({ status }) => status)).toEqual(Array(10).fill('sent'))
    expect((await enrollmentsOf(world.tenantId)).map(({ status }) => status)).toEqual(Array(10).fill('completed'))

    expect(await planAll(tier, world)).toEqual({ planned: 0, nextPlanAt: null })
    const campaign = await tier.db.system.campaign.findFirst({ where: { id: world.campaignId } })
    expect(campaign).toMatchObject({ status: 'completed', nextPlanAt: null })
    const events = (await tier.announced(world.tenantId)).filter(({ eventType }) => eventType === 'email.sent')
    expect(events).toHaveLength(10)
    for (const { scope, reserved, sent } of await budgetsOf(tier, world.tenantId)) {
      expect({ scope, reserved, sent }).toMatchObject(
        scope === 'mailbox' ? { reserved: 5, sent: 5 } : { reserved: 10, sent: 10 },
      )
    }
  })
})
