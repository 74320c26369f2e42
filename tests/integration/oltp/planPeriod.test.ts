import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals'
import { v7 as uuidv7 } from 'uuid'
import { setClock } from '#platform/clock.ts'
import { periodAt, periodDay } from '../../../subgraphs/oltp/services/plans/planPeriod.ts'
import { makeAsk } from './asking.ts'
import { type OltpTier, startOltpTier, userOf } from './oltpTier.ts'
import { budgetsOf, launch, makeSendingWorld, planAll, type SendingWorld, sendAll, setNow } from './sendingWorld.ts'
import { foundTenant } from './workspace.ts'

let tier: OltpTier
beforeAll(async () => {
  tier = await startOltpTier({ content: true })
})
afterAll(() => tier?.stop())
afterEach(() => setClock({ speed: 1, originAt: 0 }))

const agreed = (from: string, to: string) => ({ periodStartAt: new Date(from), periodEndAt: new Date(to) })

/** The beginnings of the periods of a year, found by asking every hour. */
function startsWithin(period: ReturnType<typeof agreed>, from: string, to: string): string[] {
  const starts = new Set<string>()
  for (let at = Date.parse(from); at < Date.parse(to); at += 3_600_000) {
    const { periodStartAt, periodEndAt } = periodAt(period, new Date(at))
    expect(periodStartAt.getTime() <= at && at < periodEndAt.getTime()).toBe(true)
    starts.add(periodStartAt.toISOString().slice(0, 16))
  }
  return [...starts]
}

test('a month is followed by months, also one that ends where the next has no such day; other spans by equal ones', () => {
  const ofYear = (from: string, to: string) =>
    startsWithin(agreed(from, to), from, '2027-11-01').map((start) => start.slice(5))
  const months = ['11', '12', '01', '02', '03', '04', '05', '06', '07', '08', '09', '10']
  expect(ofYear('2026-11-01T00:00Z', '2026-12-01T00:00Z')).toEqual(months.map((month) => `${month}-01T00:00`))
  expect(ofYear('2027-01-31T08:30Z', '2027-02-28T08:30Z')).toEqual([
    ...['01-31T08:30', '02-28T08:30', '03-31T08:30', '04-30T08:30', '05-31T08:30', '06-30T08:30'],
    ...['07-31T08:30', '08-31T08:30', '09-30T08:30', '10-31T08:30'],
  ])
  expect(ofYear('2027-08-01T12:00Z', '2027-08-31T12:00Z')).toEqual([
    ...['08-01T12:00', '08-31T12:00', '09-30T12:00', '10-30T12:00'],
  ])
})

test('a day belongs to one period as a whole', () => {
  const period = agreed('2026-11-16T10:37Z', '2026-12-16T10:37Z')
  for (const [at, day] of [
    ['2026-11-01T00:00Z', '2026-11-16'],
    ['2026-11-16T00:00Z', '2026-11-16'],
    ['2026-12-15T23:59Z', '2026-11-16'],
    ['2026-12-16T00:00Z', '2026-12-16'],
    ['2026-12-16T23:59Z', '2026-12-16'],
    ['2027-01-16T00:00Z', '2027-01-16'],
  ] as const) {
    expect([at, periodDay(period, new Date(at))]).toEqual([at, day])
  }
  expect(periodDay(agreed('2026-11-16T10:00Z', '2026-11-16T11:00Z'), new Date('2026-11-18T00:00Z'))).toBe('2026-11-18')
})

test('a plan whose mails are used up sends again with its next period, each month of a year', async () => {
  setNow('2026-11-01T09:00:00Z')
  const world = await makeSendingWorld(tier, { leads: 13, dailyCap: 1 })
  const rival = await foundTenant(tier)
  const period = agreed('2026-11-01T00:00Z', '2026-12-01T00:00Z')
  await tier.db.system.subscription.updateMany({ where: { tenantId: world.tenantId }, data: period })
  await launch(tier, world, new Date('2026-11-01T09:00:00Z'))
  for (let month = 0; month < 12; month += 1) {
    const first = new Date(Date.UTC(2026, 10 + month, 1, 9))
    setNow(first)
    expect([month, (await planAll(tier, world)).planned]).toEqual([month, 1])
    expect(await sendAll(tier, world.tenantId)).toBe(1)
    const used = { tenantId: world.tenantId, scope: 'plan', day: new Date(first.toISOString().slice(0, 10)) }
    expect(await tier.db.system.sendingBudget.updateMany({ where: used, data: { reserved: 10_000 } })).toEqual({
      count: 1,
    })
    setNow(new Date(first.getTime() + 26 * 86_400_000))
    expect([month, (await planAll(tier, world)).planned]).toEqual([month, 0])
    expect(await decisionOf(world)).toMatchObject({
      limit: 'PLAN_LIMIT',
      earliestAt: new Date(Date.UTC(2026, 11 + month, 1)).toISOString(),
    })
    expect(await shown(world)).toEqual({
      periodStartAt: new Date(Date.UTC(2026, 10 + month, 1)).toISOString(),
      periodEndAt: new Date(Date.UTC(2026, 11 + month, 1)).toISOString(),
    })
  }
  const plans = (await budgetsOf(tier, world.tenantId)).filter(({ scope }) => scope === 'plan')
  expect(plans).toHaveLength(12)
  expect(await budgetsOf(tier, rival.tenantId)).toEqual([])
})

function askOf(world: SendingWorld) {
  return makeAsk(
    () => tier,
    () => world,
    'manager',
  )
}

async function decisionOf(world: SendingWorld) {
  const waiting = await tier.db.system.campaignEnrollment.findFirstOrThrow({
    where: { tenantId: world.tenantId, status: 'active' },
  })
  const text = '($id: ID!) { sendDecision(enrollmentId: $id) { limit earliestAt } }'
  return (await askOf(world)(`query ${text}`, { id: waiting.id })).value
}

async function shown(world: SendingWorld) {
  return (await askOf(world)('{ subscription { periodStartAt periodEndAt } }')).value
}

test('a next plan is the plan once the agreed period has ended, for what is shown and for what is allowed', async () => {
  const workspace = await foundTenant(tier)
  const { tenantId } = workspace
  const makePlan = async (maxLeads: number) => {
    const id = uuidv7()
    await tier.db.system.plan.create({ data: { id, code: id, name: `${maxLeads} leads`, maxLeads } })
    return id
  }
  const [planId, nextPlanId] = [await makePlan(1), await makePlan(2)]
  const period = agreed('2026-11-01T00:00:00Z', '2026-12-01T00:00:00Z')
  await tier.db.system.subscription.updateMany({ where: { tenantId }, data: { planId, nextPlanId, ...period } })
  const ask = makeAsk(
    () => tier,
    () => workspace,
  )
  const CREATE = 'mutation ($input: CreateLeadInput!) { createLead(input: $input) { lead { id } } }'
  const stateAt = async (at: string) => {
    setNow(at)
    const shown = await tier.ask('{ subscription { plan { id } nextPlan { id } periodStartAt } }', {}, userOf(tenantId))
    const { code } = await ask(CREATE, { input: { email: `one-more-${uuidv7()}@x.example` } })
    return [shown.data.subscription, code]
  }
  expect(await stateAt('2026-11-30T23:50:00.000Z')).toEqual([
    { plan: { id: planId }, nextPlan: { id: nextPlanId }, periodStartAt: '2026-11-01T00:00:00.000Z' },
    'LIMIT_REACHED',
  ])
  expect(await stateAt('2026-12-01T00:00:00.000Z')).toEqual([
    { plan: { id: nextPlanId }, nextPlan: null, periodStartAt: '2026-12-01T00:00:00.000Z' },
    undefined,
  ])
  expect((await stateAt('2026-12-01T00:00:01.000Z'))[1]).toBe('LIMIT_REACHED')
})
