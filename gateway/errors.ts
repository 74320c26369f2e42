import type { GraphQLFormattedError } from 'graphql'
import { isErrorCode } from '#platform/errors.ts'
import { formatError } from '#platform/subgraph/errorFormatter.ts'

/**
 * An error as a client sees it. Those of a tier keep its code and text (the tier has masked what is not for clients) and
 * say which tier; the gateway's own are mapped as in any subgraph.
 */
export function formatGatewayError(formatted: GraphQLFormattedError, thrown: unknown): GraphQLFormattedError {
  const { code, serviceName, ...extensions } = formatted.extensions ?? {}
  if (typeof serviceName !== 'string') return formatError(formatted, thrown)
  const known = isErrorCode(code)
  return {
    message: known ? formatted.message : 'internal error',
    ...(formatted.path && { path: formatted.path }),
    extensions: known ? { ...extensions, code, tier: serviceName } : { code: 'INTERNAL', tier: serviceName },
  }
}

/** One dead tier is asked several times by one operation: its client need read that only once. */
export function withoutRepeats(errors: readonly GraphQLFormattedError[]): GraphQLFormattedError[] {
  const seen = new Set<string>()
  return errors.filter((error) => {
    const text = JSON.stringify(error)
    const isNew = !seen.has(text)
    seen.add(text)
    return isNew
  })
}
