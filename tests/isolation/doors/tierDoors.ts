import { buildSubgraphSchema } from '@apollo/subgraph'
import { type GraphQLObjectType, type GraphQLSchema, isObjectType, Kind, parse } from 'graphql'
import { TIERS, type Tier } from '#platform/contracts/tiers.ts'
import { readTierSchema } from '#platform/graph/supergraph.ts'
import { type RootField, rootFields } from './rootDoors.ts'
import { selectAll } from './selection.ts'

/** An entity that a tier resolves by a reference. */
export type EntityDoor = {
  name: string
  tier: Tier
  typename: string
  /** Asks `_entities` for everything this tier tells of one. */
  document: string
  variables(id: string): { representations: object[] }
}

/** A root field as a tier itself has it. */
export type TierField = { name: string; tier: Tier; isHidden: boolean; field: RootField }

type Directives = { directives?: readonly { name: { value: string }; arguments?: readonly unknown[] }[] }

/** Every entity of every tier, once for each key it can be found by. */
export function entityDoors(): EntityDoor[] {
  return TIERS.flatMap((tier) => {
    const schema = tierSchema(tier)
    return Object.values(schema.getTypeMap()).flatMap((type) =>
      isObjectType(type) ? resolvableKeys(type).map((key) => describeEntity(tier, type, key)) : [],
    )
  })
}

/** Every field of every tier's Query and Mutation, those that clients do not see included. */
export function tierFields(): TierField[] {
  return TIERS.flatMap((tier) => {
    const schema = tierSchema(tier)
    return (['Query', 'Mutation'] as const).flatMap((type) =>
      rootFields(schema, type)
        .filter(({ name }) => !['_entities', '_service'].includes(name))
        .map((field) => ({
          name: `${tier}: ${field.type}.${field.name}`,
          tier,
          isHidden: isHidden(schema, field),
          field,
        })),
    )
  })
}

function tierSchema(tier: Tier): GraphQLSchema {
  return buildSubgraphSchema({ typeDefs: parse(readTierSchema(tier)) })
}

function describeEntity(tier: Tier, type: GraphQLObjectType, key: string): EntityDoor {
  return {
    name: `${tier}: ${type.name} by ${key}`,
    tier,
    typename: type.name,
    document: `query ($representations: [_Any!]!) {
      _entities(representations: $representations) { ... on ${type.name} ${selectAll(type, 2)} } }`,
    variables: (id) => ({ representations: [{ __typename: type.name, [key]: id }] }),
  }
}

function resolvableKeys(type: GraphQLObjectType): string[] {
  const nodes = [type.astNode, ...type.extensionASTNodes]
  return nodes.flatMap((node) =>
    (node?.directives ?? []).flatMap((directive) => {
      if (directive.name.value !== 'key') return []
      const given = Object.fromEntries((directive.arguments ?? []).map(({ name, value }) => [name.value, value]))
      const resolvable = given.resolvable?.kind !== Kind.BOOLEAN || given.resolvable.value
      return resolvable && given.fields?.kind === Kind.STRING ? [given.fields.value] : []
    }),
  )
}

function isHidden(schema: GraphQLSchema, { type, name }: RootField): boolean {
  const root = type === 'Query' ? schema.getQueryType() : schema.getMutationType()
  const node: Directives | null | undefined = root?.getFields()[name]?.astNode
  return node?.directives?.some((directive) => directive.name.value === 'inaccessible') ?? false
}
