import { composeServices } from '@apollo/composition'
import { Supergraph } from '@apollo/federation-internals'
import { buildSubgraphSchema } from '@apollo/subgraph'
import {
  buildSchema,
  type DocumentNode,
  defaultFieldResolver,
  execute,
  type GraphQLFormattedError,
  type GraphQLResolveInfo,
  type GraphQLSchema,
  isAbstractType,
  isObjectType,
  parse,
  printSchema,
} from 'graphql'

// biome-ignore lint/suspicious/noExplicitAny: resolvers of made-up graphs
export type Row = any
export type Resolvers = Record<string, Record<string, unknown>>
export type StubSubgraph = { typeDefs: string; resolvers: Resolvers }

/** What one named field of one row does instead of answering. */
export type Fault = 'throws' | 'is null'
/** Decides by name alone (`Book:b1.title`, `Book:b1.__reference`, `service shop`), so that whoever asks meets the same. */
export type Faults = (name: string) => Fault | undefined

export type StubRequest = { query: string; variables?: Record<string, unknown> | undefined; operationName?: string }
export type StubAnswer = { data?: Row; errors?: GraphQLFormattedError[] }

/** A small supergraph whose subgraphs run in this process. */
export type World = {
  name: string
  supergraphSdl: string
  subgraphs: readonly string[]
  ask: (subgraph: string, request: StubRequest, faults: Faults) => StubAnswer | Promise<StubAnswer>
  /** What clients see. */
  apiSchema: GraphQLSchema
  /** The same graph in one piece, without federation: what an operation's answer has to be. */
  askWhole: (request: StubRequest) => Promise<StubAnswer>
}

const FEDERATION = `extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: [
  "@key", "@requires", "@external", "@shareable", "@provides", "@interfaceObject", "@inaccessible", "@override"])\n`

/**
 * Composes and builds what a world is made of. `whole` has the resolvers of fields with @requires for the graph in one
 * piece, where there are no representations to compute them from.
 */
export function makeWorld(name: string, subgraphs: Record<string, StubSubgraph>, whole: Resolvers = {}): World {
  const composed = composeServices(
    Object.entries(subgraphs).map(([service, { typeDefs }]) => ({
      name: service,
      url: `http://${service}`,
      typeDefs: parse(FEDERATION + typeDefs),
    })),
  )
  if (composed.errors) throw new Error(`${name} does not compose: ${composed.errors.map(String).join('\n')}`)
  const schemas = new Map(Object.entries(subgraphs).map(([service, stub]) => [service, buildStub(stub)]))
  const documents = new Map<string, DocumentNode>()
  const documentOf = (query: string) => {
    const document = documents.get(query) ?? parse(query)
    documents.set(query, document)
    return document
  }
  const apiSchema = Supergraph.build(composed.supergraphSdl).apiSchema().toGraphQLJSSchema()
  const wholeSchema = buildWhole(apiSchema, [whole, ...Object.values(subgraphs).map((stub) => stub.resolvers)])
  return {
    name,
    apiSchema,
    async askWhole({ query, variables }) {
      const answer = await execute({ schema: wholeSchema, document: documentOf(query), variableValues: variables })
      return JSON.parse(JSON.stringify(answer))
    },
    supergraphSdl: composed.supergraphSdl,
    subgraphs: [...schemas.keys()],
    async ask(service, { query, variables, operationName }, faults) {
      const schema = schemas.get(service)
      if (!schema) throw new Error(`there is no subgraph ${service}`)
      if (faults(`service ${service}`)) {
        return { errors: [{ message: `${service} does not answer`, extensions: { code: 'UNAVAILABLE' } }] }
      }
      const document = documentOf(query)
      const contextValue = { faults }
      const answer = await execute({ schema, document, variableValues: variables, operationName, contextValue })
      // As over the wire: nothing is shared with the subgraph's own objects.
      return JSON.parse(JSON.stringify(answer))
    },
  }
}

function buildStub({ typeDefs, resolvers }: StubSubgraph): GraphQLSchema {
  const schema = buildSubgraphSchema({
    typeDefs: parse(FEDERATION + typeDefs),
    resolvers: withFaultyReferences(resolvers),
  } as never)
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isObjectType(type) || type.name.startsWith('_')) continue
    for (const field of Object.values(type.getFields())) {
      if (field.name.startsWith('_')) continue
      const resolve = field.resolve ?? defaultFieldResolver
      field.resolve = (source: Row, args: Row, context: { faults: Faults }, info: GraphQLResolveInfo) =>
        faulty(nameOf(type.name, source, field.name), context.faults, () => resolve(source, args, context, info))
    }
  }
  return schema
}

function buildWhole(apiSchema: GraphQLSchema, resolvers: readonly Resolvers[]): GraphQLSchema {
  const schema = buildSchema(printSchema(apiSchema))
  for (const type of Object.values(schema.getTypeMap())) {
    if (type.name.startsWith('__')) continue
    if (isAbstractType(type)) type.resolveType = (row: Row) => row.__typename ?? 'Review'
    if (!isObjectType(type)) continue
    for (const field of Object.values(type.getFields())) {
      // A field of an interface object is a field of every object that has the interface.
      const owners = [type.name, ...type.getInterfaces().map((one) => one.name)]
      const found = resolvers.flatMap((map) => owners.flatMap((owner) => map[owner]?.[field.name] ?? []))
      field.resolve = (found[0] as typeof field.resolve) ?? defaultFieldResolver
    }
  }
  return schema
}

function withFaultyReferences(resolvers: Resolvers): Resolvers {
  const entries = Object.entries(resolvers).map(([type, fields]) => {
    const find = fields.__resolveReference as ((reference: Row, context: Row) => Row) | undefined
    if (!find) return [type, fields]
    const __resolveReference = (reference: Row, context: { faults: Faults }) => {
      const row = find(reference, context)
      return faulty(nameOf(type, row, '__reference'), context.faults, () => row)
    }
    return [type, { ...fields, __resolveReference }]
  })
  return Object.fromEntries(entries)
}

function nameOf(type: string, row: Row, field: string): string {
  return `${type}:${row?.id ?? ''}.${field}`
}

function faulty(name: string, faults: Faults, answer: () => unknown): unknown {
  const fault = faults(name)
  if (fault === 'throws') {
    throw Object.assign(new Error(`${name} fails`), { extensions: { code: 'NOT_FOUND' } })
  }
  return fault === 'is null' ? null : answer()
}
