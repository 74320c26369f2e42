import { Supergraph as FederatedSupergraph, operationFromDocument } from '@apollo/federation-internals'
import { type QueryPlan, QueryPlanner } from '@apollo/query-planner'
import {
  type DocumentNode,
  type GraphQLNamedType,
  type GraphQLSchema,
  isAbstractType,
  isInterfaceType,
  isObjectType,
} from 'graphql'
import { type CacheHints, readCacheHints } from './cachePolicy.ts'
import { settleStandIns } from './requires/settle.ts'
import { addStandIns } from './requires/stands.ts'
import { makeTypeTests, type TypeTest } from './typeTests.ts'

/** A composed supergraph, ready to plan operations over it. */
export type Supergraph = {
  sdl: string
  /** What clients see: nothing of what is marked @inaccessible. */
  apiSchema: GraphQLSchema
  subgraphs: readonly string[]
  /** Names of all fields that subgraphs know. */
  fieldNames: ReadonlySet<string>
  /** Names that fields are fetched under for our own use: no alias may be one of them. */
  reservedNames: ReadonlySet<string>
  /** What of it may be kept, and how long. */
  cacheHints: CacheHints
  /** Apollo's plan of a valid operation. @throws GraphQLError when it may not be planned */
  plan: (document: DocumentNode, operationName: string | undefined) => QueryPlan
  /** Whether an object that says `__typename` is of a type, of all types subgraphs know. */
  typeTest: (type: string) => TypeTest
  /** Whether a name is an interface's or a union's, of all subgraphs know. */
  isAbstract: TypeTest
}

/**
 * Alternatives looked at for one plan. With the planner's own 10,000, an operation of 700 characters over interface
 * objects took 12 s to plan, and the plan was no better.
 */
const MAX_EVALUATED_PLANS = 1_000

/** Reads a supergraph. @throws when it is none */
export function readSupergraph(sdl: string): Supergraph {
  const supergraph = FederatedSupergraph.build(sdl)
  const apiSchema = supergraph.apiSchema()
  const standIns = addStandIns(sdl)
  // Not validated: a field that is now required by its stand alone is external for nothing, which matters to nobody.
  const withStandIns = () => FederatedSupergraph.build(standIns.sdl, { validateSupergraph: false })
  const planned = standIns.byName.size > 0 ? withStandIns() : supergraph
  const planner = new QueryPlanner(planned, { debug: { maxEvaluatedPlans: MAX_EVALUATED_PLANS } })
  const whole = supergraph.schema.toGraphQLJSSchema()
  return {
    sdl,
    apiSchema: apiSchema.toGraphQLJSSchema(),
    subgraphs: supergraph.subgraphsMetadata().map((subgraph) => subgraph.name),
    fieldNames: new Set(Object.values(whole.getTypeMap()).flatMap((type) => fieldNamesOf(type))),
    reservedNames: new Set(standIns.byName.keys()),
    cacheHints: readCacheHints(supergraph.schema),
    plan(document, operationName) {
      const options = { operationName, validate: false }
      const operation = operationFromDocument(apiSchema, document, options)
      return settleStandIns(planner.buildQueryPlan(operation), standIns)
    },
    typeTest: makeTypeTests(whole),
    isAbstract: (name) => typeof name === 'string' && isAbstractType(whole.getType(name)),
  }
}

function fieldNamesOf(type: GraphQLNamedType): string[] {
  return isObjectType(type) || isInterfaceType(type) ? Object.keys(type.getFields()) : []
}
