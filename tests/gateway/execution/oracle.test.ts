import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { getVariableValues, isObjectType, Kind, parse, print, validate } from 'graphql'
import { decideConditions } from '#platform/execution/conditions.ts'
import { hideAliases } from '../../../gateway/execution/aliases.ts'
import { withoutEmptySelections } from '../../../gateway/execution/emptySelections.ts'
import { type AnyOperation, anyOperation } from '../../support/anyOperation.ts'
import { noFaults, randomFaults } from './faults.ts'
import { startOwnGateway } from './ownGateway.ts'
import { type Answer, startStockGateway } from './stockGateway.ts'
import { depot } from './worlds/depot.ts'
import { library } from './worlds/library.ts'
import { shop } from './worlds/shop.ts'
import type { World } from './worlds/world.ts'

/** More of them, for a longer look: `ORACLE_RUNS=5000 npm test -- tests/gateway/execution`. */
const RUNS = Number(process.env.ORACLE_RUNS ?? 40)

describe.each([
  { world: shop, fields: 30 },
  // Planning over interface objects grows fast with the operation.
  { world: library, fields: 12 },
])('over the graph of a $world.name', ({ world, fields }) => {
  let own: ReturnType<typeof startOwnGateway>
  let stock: Awaited<ReturnType<typeof startStockGateway>>
  beforeAll(async () => {
    own = startOwnGateway(world)
    stock = await startStockGateway(world)
  })
  afterAll(() => stock?.stop())

  test('any operation answers what the graph in one piece would', async () => {
    const property = fc.asyncProperty(anyOperation(world.apiSchema, fields), async (operation) => {
      onlyValid(operation, world)
      const [answer, whole] = [await own(operation), await world.askWhole(operation)]
      // One piece that fails: an error of these made-up graphs, there for the next test.
      fc.pre(!whole.errors)
      // Of interface objects the planner sometimes forgets to ask what they are; no executor can know it then.
      const isPlannersLoss = world === library && equals((await stock(operation).catch(() => answer)).data, answer.data)
      if (!isPlannersLoss) expect(answer).toEqual({ data: whole.data, errors: [] })
    })
    await fc.assert(property, { numRuns: RUNS, interruptAfterTimeLimit: 60_000 })
  }, 600_000)

  test('any operation in which any fields and subgraphs fail answers what the stock gateway does', async () => {
    const property = fc.asyncProperty(
      anyOperation(world.apiSchema, fields),
      fc.integer(),
      fc.integer({ min: 5, max: 150 }),
      async (operation, seed, perMille) => {
        onlyValid(operation, world)
        // We plan what is left when conditions are decided: so shall stock, or it would meet other faults.
        const decided = decide(operation, world)
        fc.pre(decided !== undefined)
        // Stock loses data of some operations without any fault; what it makes of these with faults says nothing.
        const [plain, whole] = [await stock(decided).catch(() => undefined), await world.askWhole(operation)]
        fc.pre(plain !== undefined && equals(plain.data, whole.data))
        const faults = randomFaults(seed, perMille)
        const [ours, theirs] = [await own(operation, faults), await stock(decided, faults)]
        expect(ours.data).toEqual(json(theirs.data))
        expect(messages(ours)).toEqual(messages(theirs))
        if (!equals(places(ours), places(theirs))) expect(misplaced(ours)).toEqual([])
      },
    )
    await fc.assert(property, { numRuns: RUNS, interruptAfterTimeLimit: 60_000 })
  }, 600_000)
})

test('any operation over fields required with arguments answers what the graph in one piece would', async () => {
  const own = startOwnGateway(depot)
  const property = fc.asyncProperty(anyOperation(depot.apiSchema, 20), async (operation) => {
    onlyValid(operation, depot)
    expect(await own(operation)).toEqual({ data: (await depot.askWhole(operation)).data, errors: [] })
  })
  await fc.assert(property, { numRuns: RUNS, interruptAfterTimeLimit: 60_000 })
}, 600_000)

/** Passes over what is no valid operation. A filter on `fc.gen` would be given the same value again, without end. */
function onlyValid({ query }: AnyOperation, { apiSchema }: World): void {
  fc.pre(validate(apiSchema, parse(query)).length === 0)
}

/** The same operation without conditions; undefined where ours is planned otherwise all the same. */
function decide(operation: AnyOperation, { apiSchema }: World): AnyOperation | undefined {
  const document = parse(operation.query)
  const [node] = document.definitions.filter((one) => one.kind === Kind.OPERATION_DEFINITION)
  const { coerced } = getVariableValues(apiSchema, node?.variableDefinitions ?? [], operation.variables)
  const decided = decideConditions(document, coerced ?? {})
  const fieldNames = new Set(
    Object.values(apiSchema.getTypeMap()).flatMap((type) => (isObjectType(type) ? Object.keys(type.getFields()) : [])),
  )
  const isAlike = withoutEmptySelections(decided) === decided && hideAliases(decided, fieldNames).renamed.size === 0
  return isAlike ? { ...operation, query: print(decided) } : undefined
}

const json = (value: unknown) => JSON.parse(JSON.stringify(value))
const equals = (a: unknown, b: unknown) => expectEqual(json(a), json(b))
const messages = ({ errors }: Answer) => errors.map(({ message }) => message).sort()
const places = ({ errors }: Answer) => errors.map(({ message, path }) => `${JSON.stringify(path)} ${message}`).sort()

function expectEqual(a: unknown, b: unknown): boolean {
  try {
    expect(a).toEqual(b)
    return true
  } catch {
    return false
  }
}

/**
 * Stock counts entities that it has not sent, so in a list of several types its paths lead astray. An error says which
 * row it befell (`Book:b1.title fails`): these are the errors whose path leads to another row.
 */
function misplaced({ data, errors }: Answer): unknown[] {
  return errors.filter(({ message, path }) => {
    const [, id] = /^\w+:(\w+)\.\w+ fails$/.exec(message) ?? []
    if (!id || !path) return false
    const row = path
      .slice(0, message.includes('__reference') ? undefined : -1)
      .reduce((value, key) => value?.[key], data)
    return row && typeof row === 'object' && typeof row.id === 'string' && row.id !== id
  })
}

test('without faults nothing fails, and with them it does', () => {
  expect(noFaults('Book:b1.title')).toBeUndefined()
  const names = Array.from({ length: 1000 }, (_, i) => `Book:b${i}.title`)
  const fallen = names.filter(randomFaults(1, 100))
  expect(fallen.length).toBeGreaterThan(60)
  expect(fallen.length).toBeLessThan(140)
})
