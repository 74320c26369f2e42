import { type DocumentNode, GraphQLError, Kind, type OperationDefinitionNode, OperationTypeNode } from 'graphql'

/**
 * The operation of a document that is meant.
 * @throws GraphQLError with Apollo's code if there is none, or several, or if it is a subscription
 */
export function selectOperation(document: DocumentNode, operationName: string | undefined): OperationDefinitionNode {
  const operations = document.definitions.filter(
    (node): node is OperationDefinitionNode => node.kind === Kind.OPERATION_DEFINITION,
  )
  const named = operationName ? operations.filter((node) => node.name?.value === operationName) : operations
  const [operation, another] = named
  const refuse = (message: string) =>
    new GraphQLError(message, { extensions: { code: 'OPERATION_RESOLUTION_FAILURE' } })
  if (!operation) throw refuse(operationName ? `Unknown operation named "${operationName}".` : 'There is no operation.')
  if (another) throw refuse('Must provide operation name if query contains multiple operations.')
  if (operation.operation === OperationTypeNode.SUBSCRIPTION) throw refuse('Subscriptions are not served here.')
  return operation
}
