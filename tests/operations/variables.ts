import {
  type DocumentNode,
  type GraphQLSchema,
  getNamedType,
  isNonNullType,
  Kind,
  type OperationDefinitionNode,
  TypeInfo,
  typeFromAST,
  type VariableDefinitionNode,
  visit,
  visitWithTypeInfo,
} from 'graphql'
import { findKind, type Kind as IdKind } from '../isolation/doors/kinds.ts'
import { fillInput } from '../isolation/doors/selection.ts'

/** What inputs are about where either of several fields says it. */
const NAMES_ONE: Record<string, Record<string, IdKind>> = {
  ReplyInput: { conversationId: 'Conversation' },
  PreviewTemplateInput: { templateId: 'Template', leadId: 'Lead' },
}

/** Which argument each variable of a document is given to, `Query.campaign.id`, and what that field answers. */
type Places = Map<string, { coordinate: string; returned: string }>

/** The variables that a document can't do without; ids by the coordinate of the argument or input field they stand in. */
export function fillVariables(
  schema: GraphQLSchema,
  document: DocumentNode,
  idOf: (kind: IdKind) => string,
): Record<string, unknown> {
  const places = findPlaces(schema, document)
  const operation = operationOf(document)
  return Object.fromEntries(
    (operation.variableDefinitions ?? []).flatMap((definition) => {
      const value = fillVariable(schema, definition, places, idOf)
      return value === undefined ? [] : [[definition.variable.name.value, value]]
    }),
  )
}

/** The names of the root fields that a document asks. */
export function rootsOf(document: DocumentNode): string[] {
  return operationOf(document).selectionSet.selections.flatMap((node) =>
    node.kind === Kind.FIELD ? [node.name.value] : [],
  )
}

function operationOf(document: DocumentNode): OperationDefinitionNode {
  const operation = document.definitions.find((node) => node.kind === Kind.OPERATION_DEFINITION)
  if (!operation) throw new Error('a document without an operation')
  return operation
}

function fillVariable(
  schema: GraphQLSchema,
  { variable, type: typeNode }: VariableDefinitionNode,
  places: Places,
  idOf: (kind: IdKind) => string,
): unknown {
  const type = typeFromAST(schema, typeNode as never)
  if (!type || !isNonNullType(type)) return undefined
  const place = places.get(variable.name.value)
  const ids = (coordinate: string) => {
    const kind = findKind(coordinate, place?.returned ?? '')
    if (!kind) throw new Error(`say in the table of kinds what ${coordinate} takes`)
    return idOf(kind)
  }
  const [owner = '', name = ''] = splitLast(place?.coordinate ?? '')
  const filled = fillInput(type as never, name, ids, owner)
  const also = NAMES_ONE[getNamedType(type).name]
  if (!also) return filled
  const named = Object.entries(also).map(([field, kind]) => [field, idOf(kind)])
  return { ...(filled as object), ...Object.fromEntries(named) }
}

function findPlaces(schema: GraphQLSchema, document: DocumentNode): Places {
  const places: Places = new Map()
  const info = new TypeInfo(schema)
  visit(
    document,
    visitWithTypeInfo(info, {
      Argument(node) {
        if (node.value.kind !== Kind.VARIABLE) return
        const field = info.getFieldDef()
        const returned = field ? getNamedType(field.type).name : ''
        const coordinate = `${info.getParentType()?.name}.${field?.name}.${node.name.value}`
        places.set(node.value.name.value, { coordinate, returned })
      },
    }),
  )
  return places
}

function splitLast(coordinate: string): [string, string] {
  const place = coordinate.lastIndexOf('.')
  return [coordinate.slice(0, place), coordinate.slice(place + 1)]
}
