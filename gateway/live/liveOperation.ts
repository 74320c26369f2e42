import {
  type DocumentNode,
  type FieldNode,
  type GraphQLSchema,
  Kind,
  type NameNode,
  type OperationDefinitionNode,
  OperationTypeNode,
  type SelectionNode,
  TypeInfo,
  type VariableDefinitionNode,
  visit,
  visitWithTypeInfo,
} from 'graphql'
import { TOPICS, type Topic } from './topics.ts'

/** A valid subscription, and the queries that answer it. */
export type LiveOperation = {
  topic: Topic
  /** The name its answers have. */
  responseKey: string
  operationName: string | undefined
  /** How it is now: for a state. */
  stateQuery: DocumentNode
  /** For so many events: ids in variables and answers both by `eventName`. */
  eventsQuery: (events: number) => DocumentNode
}

/** What an event's id is called in the variables, and its answer in the data. */
export function eventName(index: number): string {
  return `liveEvent_${index}`
}

/**
 * Turns a document's one subscription into queries: its field becomes Query's, what is selected of it stays as it is.
 * The document must be valid: then there is one field.
 */
export function compileLiveOperation(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
): LiveOperation {
  let field: FieldNode | undefined
  const stateQuery = rewrite(schema, document, operation, [], (node) => {
    field = node
    return [{ ...node, alias: node.alias ?? node.name, name: nameNode(topicOf(node).asks) }]
  })
  if (!field) throw new Error('a subscription without a field')
  const eventsQueries = new Map<number, DocumentNode>()
  return {
    topic: topicOf(field),
    responseKey: field.alias?.value ?? field.name.value,
    operationName: operation.name?.value,
    stateQuery,
    eventsQuery(events) {
      const query = eventsQueries.get(events) ?? askForEach(schema, document, operation, events)
      eventsQueries.set(events, query)
      return query
    },
  }
}

function askForEach(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  events: number,
): DocumentNode {
  const names = Array.from({ length: events }, (_, index) => nameNode(eventName(index)))
  return rewrite(schema, document, operation, names.map(idVariable), (field) =>
    names.map((name) => ({
      ...field,
      alias: name,
      name: nameNode(topicOf(field).asks),
      arguments: [idArgument(name)],
    })),
  )
}

/** The operation as a query, with other fields in the place of Subscription's, wherever fragments put it. */
function rewrite(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  variables: readonly VariableDefinitionNode[],
  ask: (field: FieldNode) => FieldNode[],
): DocumentNode {
  const root = schema.getSubscriptionType()
  const info = new TypeInfo(schema)
  const definitions = document.definitions.filter(
    (node) => node === operation || node.kind === Kind.FRAGMENT_DEFINITION,
  )
  return visit(
    { ...document, definitions },
    visitWithTypeInfo(info, {
      OperationDefinition: {
        leave: (node) => ({
          ...node,
          operation: OperationTypeNode.QUERY,
          variableDefinitions: [...(node.variableDefinitions ?? []), ...variables],
        }),
      },
      NamedType: {
        leave: (node) => (node.name.value === root?.name ? { ...node, name: nameNode('Query') } : undefined),
      },
      SelectionSet: {
        leave(node) {
          if (info.getParentType() !== root) return undefined
          const selections = node.selections.flatMap((selection): SelectionNode[] =>
            selection.kind === Kind.FIELD ? ask(selection) : [selection],
          )
          return { ...node, selections }
        },
      },
    }),
  )
}

function topicOf({ name }: FieldNode): Topic {
  const topic = Object.hasOwn(TOPICS, name.value) ? TOPICS[name.value] : undefined
  if (!topic) throw new Error(`nothing is told of ${name.value}`)
  return topic
}

function nameNode(value: string): NameNode {
  return { kind: Kind.NAME, value }
}

function idVariable(name: NameNode): VariableDefinitionNode {
  const type = { kind: Kind.NON_NULL_TYPE, type: { kind: Kind.NAMED_TYPE, name: nameNode('ID') } } as const
  return { kind: Kind.VARIABLE_DEFINITION, variable: { kind: Kind.VARIABLE, name }, type }
}

function idArgument(name: NameNode) {
  return { kind: Kind.ARGUMENT, name: nameNode('id'), value: { kind: Kind.VARIABLE, name } } as const
}
