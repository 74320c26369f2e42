import type { RequestListener } from 'node:http'
import type { GraphQLError, GraphQLSchema } from 'graphql'
import type { Caller } from '#platform/caller/caller.ts'
import { runAsTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { type GraphqlAnswer, type GraphqlListenerOptions, makeGraphqlListener } from '#platform/http/graphqlListener.ts'
import type { GraphqlRequest } from '#platform/http/graphqlRequest.ts'
import { formatError, logUnforeseen } from './errorFormatter.ts'
import { openOperations } from './execution/operation.ts'
import type { SubgraphContext } from './subgraph.ts'

export type LeanFaceOptions = Omit<GraphqlListenerOptions<Caller>, 'answer'> & {
  schema: GraphQLSchema
  contextOf: (caller: Caller) => SubgraphContext | Promise<SubgraphContext>
}

/** `POST /graphql` on node:http, run by the compiled executor. */
export function makeLeanFace({ schema, contextOf, ...listener }: LeanFaceOptions): RequestListener {
  const operations = openOperations(schema)

  async function run({ query, operationName, variables }: GraphqlRequest, caller: Caller): Promise<GraphqlAnswer> {
    if (query === undefined) throw new AppError('INVALID_INPUT', 'query: a document is required')
    const found = operations.findByText(query, operationName)
    if ('errors' in found) return refuse(found.errors)
    const context = await contextOf(caller)
    const outcome = await found.operation.run(variables, context)
    if ('refused' in outcome) return refuse(outcome.refused)
    const { data, errors } = outcome
    if (errors.length === 0) return { text: `{"data":${data}}`, isRefused: false }
    for (const error of errors) logUnforeseen(error, context.log, operationName)
    return { text: `{"errors":${JSON.stringify(errors.map(format))},"data":${data}}`, isRefused: false }
  }

  return makeGraphqlListener({
    ...listener,
    answer: (asked, caller) => {
      const { tenantId } = caller
      return tenantId ? runAsTenant(tenantId, () => run(asked, caller)) : run(asked, caller)
    },
  })
}

function refuse(errors: readonly GraphQLError[]): GraphqlAnswer {
  return { text: JSON.stringify({ errors: errors.map(format) }), isRefused: true }
}

function format(error: GraphQLError) {
  return formatError(error.toJSON(), error)
}
