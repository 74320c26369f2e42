import { randomUUID } from 'node:crypto'
import { afterEach, describe, expect, test } from '@jest/globals'
import { startRedis } from '#platform/local/redis.ts'
import { makeLog } from '#platform/log.ts'
import { Rates } from '../../../gateway/limits/rates.ts'
import { eventually } from '../../support/eventually.ts'
import { fastest } from '../../support/fastest.ts'
import { findFreePort } from '../../support/freePort.ts'
import { testRedisUrl } from '../../support/redis.ts'

const opened: Rates[] = []
afterEach(() => {
  for (const rates of opened.splice(0)) rates.close()
})
const open = async (redisUrl?: string) => {
  const rates = new Rates({ redisUrl, perTenant: 3, perAddress: 2, log: makeLog('gateway', 'silent') })
  opened.push(rates)
  if (redisUrl) await eventually(async () => rates.isShared, Boolean)
  return rates
}
const times = async (count: number, ask: () => Promise<{ allowed: boolean }>) => {
  const answers: boolean[] = []
  for (let n = 0; n < count; n++) answers.push((await ask()).allowed)
  return answers
}

describe.each([
  ['in memory', () => undefined],
  ['in Redis', testRedisUrl],
])('requests counted %s', (_where, url) => {
  test('are refused beyond the limit, one tenant and one address at a time', async () => {
    const rates = await open(url())
    const [tenant, other] = [randomUUID(), randomUUID()]
    expect(await times(5, () => rates.countTenant(tenant))).toEqual([true, true, true, false, false])
    expect((await rates.countTenant(other)).allowed).toBe(true)
    expect(await times(3, () => rates.countAddress(tenant))).toEqual([true, true, false])
  })

  test('are told how many are left, and when to come again', async () => {
    const rates = await open(url())
    const tenant = randomUUID()
    const first = await rates.countTenant(tenant)
    expect(first.headers).toEqual({
      'RateLimit-Policy': '3;w=60',
      'RateLimit-Limit': '3',
      'RateLimit-Remaining': '2',
      'RateLimit-Reset': '60',
    })
    await times(2, () => rates.countTenant(tenant))
    const refused = await rates.countTenant(tenant)
    expect(refused.headers).toMatchObject({ 'RateLimit-Remaining': '0', 'Retry-After': expect.stringMatching(/^\d+$/) })
  })
})

test('two gateways count as one where they share Redis', async () => {
  const [one, two] = [await open(testRedisUrl()), await open(testRedisUrl())]
  const tenant = randomUUID()
  expect([
    ...(await times(2, () => one.countTenant(tenant))),
    ...(await times(2, () => two.countTenant(tenant))),
  ]).toEqual([true, true, true, false])
})

test('a Redis that goes away costs nobody an answer: each gateway counts on for itself', async () => {
  const redis = await startRedis({ port: await findFreePort() })
  const rates = await open(redis.url)
  expect((await rates.countTenant(randomUUID())).allowed).toBe(true)
  await redis.stop()
  const took = await fastest(async () => {
    const tenant = randomUUID()
    expect(await times(4, () => rates.countAddress(tenant))).toEqual([true, true, false, false])
  })
  expect(took).toBeLessThan(2_000)
})
