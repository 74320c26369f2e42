import { describe, expect, test } from '@jest/globals'
import { isObjectType, Kind, type TypeNode } from 'graphql'
import { composeSupergraph, isCommittedSupergraph, readTierSchema } from '#platform/graph/supergraph.ts'
import {
  isHidden,
  readApiSchema,
  readHiddenTypes,
  readTierFields,
  type TierField,
  usedTypes,
} from '../support/apiSchema.ts'

const ROOTS = ['Query', 'Mutation', 'Subscription']
const SCALARS = ['ID', 'String', 'Int', 'Float', 'Boolean', 'DateTime', 'UUID', 'BigInt', 'EmailAddress', 'JSON']

const api = readApiSchema()
const used = usedTypes(api)
const fields = readTierFields()
const ours = Object.keys(api.getTypeMap()).filter((name) => !name.startsWith('__') && !SCALARS.includes(name))

test('the committed supergraph is what the four schemas compose to', () => {
  const composed = composeSupergraph()
  expect('errors' in composed ? composed.errors : []).toEqual([])
  expect('sdl' in composed && isCommittedSupergraph(composed.sdl)).toBe(true)
})

test('a schema that does not fit the others is told, not composed', () => {
  const broken = composeSupergraph((tier) =>
    tier === 'queue' ? `${readTierSchema(tier)}\nextend type Query { viewer: Int }` : readTierSchema(tier),
  )
  expect('errors' in broken && broken.errors.join()).toContain('Query.viewer')
})

describe('internal operations', () => {
  const hidden = fields.filter(({ field }) => isHidden(field))
  const hiddenTypes = readHiddenTypes()

  test('exist, and none of them is in the schema that clients see', () => {
    const internal = ['outboxFrontier', 'enqueueJobs', 'storeMessages', 'recordEmailEvents', 'advanceWatermark']
    expect(hidden.map(({ field }) => field.name.value)).toEqual(expect.arrayContaining(internal))
    expect(hidden.filter(isVisible).map(nameOf)).toEqual([])
  })

  test('have inputs, enums and payloads of their own, which clients do not see either', () => {
    expect(hiddenTypes).toEqual(expect.arrayContaining(['EnqueueJobInput', 'EnqueueJobResult', 'EnqueueStatus']))
    expect(hiddenTypes.filter((name) => api.getType(name))).toEqual([])
    const theirs = hidden.flatMap(({ field }) =>
      [field, ...(field.arguments ?? [])].map(({ type }) => typeNameOf(type)),
    )
    // What a hidden operation takes and gives is hidden, unless something visible uses it as well.
    expect(theirs.filter((name) => api.getType(name) && !SCALARS.includes(name) && !used.has(name))).toEqual([])
  })

  test('leave no type behind that nothing visible leads to', () => {
    expect(ours.filter((name) => !ROOTS.includes(name) && !used.has(name))).toEqual([])
  })
})

test('every field of Query is nullable: one dead tier must not null the others', () => {
  const reads = Object.values(api.getQueryType()?.getFields() ?? {})
  expect(reads.length).toBeGreaterThan(20)
  expect(reads.filter((field) => String(field.type).endsWith('!')).map((field) => field.name)).toEqual([])
})

test('every field that another tier than its parent’s owner resolves is nullable', () => {
  const strict = fields.filter(
    (item) => isVisible(item) && item.field.type.kind === Kind.NON_NULL_TYPE && isForeign(item),
  )
  expect(strict.map(nameOf)).toEqual([])
})

test('every type and root field has a description: they are the API’s documentation', () => {
  const plain = /(Connection|Edge|Payload|PageInfo|DateRange)$/
  const types = ours.filter(
    (name) =>
      isObjectType(api.getType(name)) && !ROOTS.includes(name) && !plain.test(name) && !api.getType(name)?.description,
  )
  const roots = ROOTS.flatMap((name) => {
    const root = api.getType(name)
    const reads = isObjectType(root) ? Object.values(root.getFields()) : []
    return reads.filter((field) => !field.description).map((field) => `${name}.${field.name}`)
  })
  expect([...types, ...roots]).toEqual([])
})

function nameOf({ type, field }: TierField): string {
  return `${type}.${field.name.value}`
}

function typeNameOf(node: TypeNode): string {
  return node.kind === Kind.NAMED_TYPE ? node.name.value : typeNameOf(node.type)
}

function isVisible({ type, field }: TierField): boolean {
  const found = api.getType(type)
  return isObjectType(found) && field.name.value in found.getFields()
}

/** Whether a field is added to an entity by a tier that does not own it; the owner is who knows most of its fields. */
function isForeign({ tier, type, field }: TierField): boolean {
  if (ROOTS.includes(type)) return false
  const knownTo = new Map<string, number>()
  for (const item of fields) {
    if (item.type === type) knownTo.set(item.tier, (knownTo.get(item.tier) ?? 0) + 1)
  }
  const [owner] = [...knownTo].sort(([, a], [, b]) => b - a)[0] ?? []
  const isKey = fields.some(
    (item) => item.tier === owner && item.type === type && item.field.name.value === field.name.value,
  )
  return tier !== owner && !isKey
}
