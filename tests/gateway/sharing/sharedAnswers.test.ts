import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import * as fc from 'fast-check'
import { OperationTypeNode } from 'graphql'
import { Registry } from 'prom-client'
import { startRedis } from '#platform/local/redis.ts'
import { makeLog } from '#platform/log.ts'
import type { CachePolicy } from '../../../gateway/execution/cachePolicy.ts'
import type { Operation, Outcome } from '../../../gateway/execution/operation.ts'
import { keyOfKept, keyOfOwn } from '../../../gateway/sharing/answerKey.ts'
import { openSharedAnswers, type SharingOptions } from '../../../gateway/sharing/sharedAnswers.ts'
import { type GatewayContext, makeContext } from '../../../gateway/tiers/context.ts'
import { eventually } from '../../support/eventually.ts'
import { fastest } from '../../support/fastest.ts'
import { findFreePort } from '../../support/freePort.ts'
import { testRedisUrl } from '../../support/redis.ts'

const log = makeLog('gateway', 'silent')
type Asker = GatewayContext['caller']

const [tenantId, otherTenantId] = [randomUUID(), randomUUID()]
const ada: Asker = { kind: 'user', tenantId, userId: randomUUID(), roles: ['owner', 'admin'], requestId: 'r' }
const bob: Asker = { ...ada, userId: randomUUID(), roles: ['admin', 'owner'] }
const cy: Asker = { ...ada, userId: randomUUID(), roles: ['member'] }
const rival: Asker = { ...ada, tenantId: otherTenantId }
const staff: Asker = { ...ada, kind: 'staff', tenantId: null, roles: ['support'] }
const otherStaff: Asker = { ...staff, userId: randomUUID() }

/** An operation that answers who asked it, and how often it has run. */
function makeOperation(cachePolicy: CachePolicy, kind = OperationTypeNode.QUERY) {
  let runs = 0
  const faults: Outcome[] = []
  const operation = {
    ...{ id: randomUUID(), kind, cachePolicy, faults },
    async run(variables: unknown, { caller: { tenantId, userId } }: GatewayContext): Promise<Outcome> {
      runs += 1
      const run = runs
      await sleep(5)
      return faults.shift() ?? { data: JSON.stringify({ tenantId, userId, variables, run }), faults: [] }
    },
  }
  return operation as unknown as Operation<GatewayContext> & { faults: Outcome[] }
}
const contextOf = (caller: Asker) => makeContext(caller, log, Number.POSITIVE_INFINITY)
const kept: CachePolicy = { maxAgeSeconds: 60, scope: 'PUBLIC' }
const dataOf = (outcome: Outcome) => ('data' in outcome && outcome.data ? JSON.parse(outcome.data) : outcome)

const opened: { close: () => void }[] = []
afterEach(() => {
  for (const { close } of opened.splice(0)) close()
})
function open({ cache = false, inFlight = false, redisUrl }: Partial<SharingOptions>) {
  const registry = new Registry()
  const shared = openSharedAnswers({ cache, inFlight, redisUrl, registry, log })
  opened.push(shared)
  const ask = async (operation: Operation<GatewayContext>, caller: Asker, variables: unknown = {}) =>
    dataOf(await shared.run(operation, variables, contextOf(caller)))
  return { ask, registry }
}
/** Redis has to be connected first. */
async function untilItKeeps({ ask }: ReturnType<typeof open>): Promise<void> {
  const probe = makeOperation(kept)
  const twice = async () => [await ask(probe, ada), await ask(probe, ada)]
  await eventually(twice, ([one, other]) => one.run === other.run)
}

describe.each([
  ['in memory', () => undefined],
  ['in Redis', testRedisUrl],
])('answers kept %s', (_where, url) => {
  let ask: ReturnType<typeof open>['ask']
  beforeEach(async () => {
    const shared = open({ cache: true, redisUrl: url() })
    await untilItKeeps(shared)
    ask = shared.ask
  })

  const settle = () => sleep(20)
  /** Asks until the second is given what the first was: a Redis that is late is not waited for. */
  const untilShared = (operation: Operation<GatewayContext>, first: Asker, second: Asker) => {
    const askBoth = async () => {
      const one = await ask(operation, first)
      await settle()
      return [one, await ask(operation, second)]
    }
    return eventually(askBoth, ([one, other]) => one.run === other.run)
  }

  test('are given to users of the same tenant with the same roles, and to nobody else', async () => {
    const operation = makeOperation(kept)
    await untilShared(operation, ada, ada)
    await untilShared(operation, ada, bob)
    for (const other of [cy, rival, staff, otherStaff]) {
      expect(await ask(operation, other)).toMatchObject({ tenantId: other.tenantId, userId: other.userId })
    }
  })

  test('are one user’s where the schema says so', async () => {
    const operation = makeOperation({ ...kept, scope: 'PRIVATE' })
    await untilShared(operation, ada, ada)
    expect(await ask(operation, bob)).toMatchObject({ userId: bob.userId })
  })

  test('are for the same variables only', async () => {
    const operation = makeOperation(kept)
    await ask(operation, ada, { first: 1 })
    await settle()
    expect(await ask(operation, ada, { first: 2 })).toMatchObject({ variables: { first: 2 }, run: 2 })
  })

  test('are forgotten when their time is over', async () => {
    const operation = makeOperation({ ...kept, maxAgeSeconds: 1 })
    const [{ run }] = await untilShared(operation, ada, ada)
    await sleep(1_100)
    expect((await ask(operation, ada)).run).toBeGreaterThan(run)
  })

  test('are none where the schema does not say that they may be, and none of changes', async () => {
    const never = makeOperation({ maxAgeSeconds: 0, scope: 'PUBLIC' })
    const change = makeOperation(kept, OperationTypeNode.MUTATION)
    for (const operation of [never, change]) {
      await ask(operation, ada)
      await settle()
      expect(await ask(operation, ada)).toMatchObject({ run: 2 })
    }
  })

  test('are whole: what came with an error, or was refused, is asked again', async () => {
    const operation = makeOperation(kept)
    const fault = { message: 'away', extensions: { serviceName: 'oltp' } }
    operation.faults.push({ data: '{"a":null}', faults: [fault] }, { data: null, faults: [fault] }, { errors: [] })
    for (let n = 0; n < 3; n += 1) {
      await ask(operation, ada)
      await settle()
    }
    expect(await ask(operation, ada)).toMatchObject({ run: 4 })
  })

  test('are none of a size that only few would share', async () => {
    const operation = makeOperation(kept)
    const large = { text: 'x'.repeat(1024 * 1024 + 1) }
    await ask(operation, ada, large)
    await settle()
    expect(await ask(operation, ada, large)).toMatchObject({ run: 2 })
  })
})

test('without Redis every query is answered, at no great delay', async () => {
  const redis = await startRedis({ port: await findFreePort() })
  const shared = open({ cache: true, redisUrl: redis.url })
  await untilItKeeps(shared)
  await redis.stop()
  const operation = makeOperation(kept)
  let run = 0
  const took = await fastest(async () => {
    run += 1
    expect(await shared.ask(operation, ada)).toMatchObject({ run })
  })
  expect(took).toBeLessThan(1_000)
})

describe('a query that comes while it is being answered', () => {
  test('has the same answer, for the same user; others and later ones have their own', async () => {
    const { ask, registry } = open({ inFlight: true })
    const operation = makeOperation({ maxAgeSeconds: 0, scope: 'PUBLIC' })
    const [one, same, colleague, stranger] = await Promise.all([ada, ada, bob, rival].map((who) => ask(operation, who)))
    expect(same).toEqual(one)
    expect(colleague).toMatchObject({ userId: bob.userId })
    expect(stranger).toMatchObject({ tenantId: otherTenantId })
    expect(await ask(operation, ada)).toMatchObject({ run: 4 })
    expect(await registry.metrics()).toContain('gateway_query_answers_total{from="another request"} 1')
  })

  test('is asked by itself where it changes something', async () => {
    const { ask } = open({ inFlight: true })
    const change = makeOperation(kept, OperationTypeNode.MUTATION)
    const answers = await Promise.all([ask(change, ada), ask(change, ada)])
    expect(answers.map(({ run }) => run).sort()).toEqual([1, 2])
  })
})

test('no two answers have one key that are not the same question’s of the same asker', () => {
  const name = fc.constantFrom('a', 'b', 'a","b', '', 'null')
  const asker = fc.record({
    kind: fc.constantFrom('user', 'staff', 'service'),
    tenantId: fc.option(name),
    userId: fc.option(name),
    roles: fc.array(name, { maxLength: 3 }),
  })
  const question = fc.record({ id: name, variables: fc.dictionary(name, fc.jsonValue({ maxDepth: 1 })), asker })
  const scope = fc.constantFrom('PUBLIC', 'PRIVATE')
  fc.assert(
    fc.property(question, question, scope, (one, other, keptFor) => {
      const keysOf = ({ id, variables, asker }: typeof one) => {
        const caller = { ...asker, requestId: 'r' } as Asker
        const policy = { maxAgeSeconds: 1, scope: keptFor as CachePolicy['scope'] }
        return { own: keyOfOwn(id, variables, caller), kept: keyOfKept(id, variables, caller, policy) }
      }
      const factsOf = ({ id, variables, asker: { kind, tenantId, userId, roles } }: typeof one, isShared: boolean) =>
        JSON.stringify([id, variables, kind, tenantId, isShared && tenantId !== null ? '' : userId, [...roles].sort()])
      expect(keysOf(one).own === keysOf(other).own).toBe(factsOf(one, false) === factsOf(other, false))
      const isShared = keptFor === 'PUBLIC'
      expect(keysOf(one).kept === keysOf(other).kept).toBe(factsOf(one, isShared) === factsOf(other, isShared))
    }),
    { numRuns: 2_000 },
  )
})
