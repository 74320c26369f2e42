import { readFileSync } from 'node:fs'
import {
  type DocumentNode,
  extendSchema,
  type FieldDefinitionNode,
  type GraphQLSchema,
  Kind,
  parse,
  type TypeNode,
} from 'graphql'

const LIVE_SCHEMA = new URL('../../gateway/live/schema.graphql', import.meta.url)

/**
 * A schema with the gateway's own subscriptions, which no subgraph has: those of them whose types the schema knows. A
 * subscription that is not in a supergraph then is simply not offered.
 */
export function addLiveSchema(schema: GraphQLSchema): GraphQLSchema {
  const document = parse(readFileSync(LIVE_SCHEMA, 'utf8'))
  const isKnown = ({ type }: FieldDefinitionNode) => schema.getType(nameOf(type)) !== undefined
  const fitting: DocumentNode = {
    ...document,
    definitions: document.definitions.map((node) =>
      node.kind === Kind.OBJECT_TYPE_DEFINITION ? { ...node, fields: (node.fields ?? []).filter(isKnown) } : node,
    ),
  }
  const hasAny = fitting.definitions.some((node) => 'fields' in node && (node.fields?.length ?? 0) > 0)
  return hasAny ? extendSchema(schema, fitting) : schema
}

function nameOf(type: TypeNode): string {
  return type.kind === Kind.NAMED_TYPE ? type.name.value : nameOf(type.type)
}
