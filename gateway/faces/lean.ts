import type { RequestListener } from 'node:http'
import { AppError } from '#platform/errors.ts'
import { type GraphqlAnswer, makeGraphqlListener } from '#platform/http/graphqlListener.ts'
import type { GraphqlRequest } from '#platform/http/graphqlRequest.ts'
import type { Log } from '#platform/log.ts'
import type { Metrics } from '#platform/metrics.ts'
import type { AddressOf } from '../callerAddress.ts'
import type { OriginHeaders } from '../cors.ts'
import type { Outcome } from '../execution/operation.ts'
import { formatOutcomeErrors, formatThrown, type Pipeline } from '../pipeline/pipeline.ts'
import { requestIdOf } from '../pipeline/requestId.ts'
import { SECURE_HEADERS } from '../secureHeaders.ts'
import type { GatewayContext } from '../tiers/context.ts'

export type LeanFaceOptions = {
  pipeline: Pipeline
  maxRequestBytes: number
  addressOf: AddressOf
  originHeaders: OriginHeaders
  metrics: Metrics
  log: Log
  isClosing: () => boolean
}

/** The pipeline behind `POST /graphql` on node:http. */
export function makeLeanFace({ pipeline, addressOf, originHeaders, ...options }: LeanFaceOptions): RequestListener {
  return makeGraphqlListener<GatewayContext>({
    ...options,
    challenge: 'Bearer',
    identify(request, response) {
      const requestId = requestIdOf(request.headers['x-request-id'])
      response.setHeader('x-request-id', requestId)
      const arrival = { authorization: request.headers.authorization, address: addressOf(request), requestId }
      return pipeline.identify(arrival, (headers) => response.setHeaders(new Map(Object.entries(headers))))
    },
    headersOf: ({ headers }) => ({ ...SECURE_HEADERS, ...originHeaders(headers.origin) }),
    answer: (asked, context) => answer(asked, context, pipeline),
  })
}

/** The answer's text; an operation that is refused as a whole is answered in the same form. */
async function answer(asked: GraphqlRequest, context: GatewayContext, pipeline: Pipeline): Promise<GraphqlAnswer> {
  const { requestId } = context.caller
  try {
    const outcome = await pipeline.run(asked, context)
    return { text: writeOutcome(outcome, context), isRefused: 'errors' in outcome }
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    const errors = [formatThrown(error, () => context.log)]
    return { text: JSON.stringify({ errors, extensions: { requestId } }), isRefused: true }
  }
}

function writeOutcome(outcome: Outcome, context: GatewayContext): string {
  const errors = formatOutcomeErrors(outcome, () => context.log)
  const head = errors.length > 0 ? `{"errors":${JSON.stringify(errors)},` : '{'
  const data = 'data' in outcome ? `"data":${outcome.data},` : ''
  return `${head}${data}"extensions":{"requestId":"${context.caller.requestId}"}}`
}
