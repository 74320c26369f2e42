import { AppError } from '#platform/errors.ts'
import { isObject, type JsonObject } from '../execution/json.ts'

/** What a client asks. */
export type GraphqlRequest = {
  query: string
  operationName: string | undefined
  variables: JsonObject
  extensions: JsonObject
}

/**
 * Reads a request from the JSON of its body.
 * @throws AppError INVALID_INPUT
 */
export function readGraphqlRequest(body: unknown): GraphqlRequest {
  if (Array.isArray(body)) throw invalid('one operation at a time: a list of them is not taken')
  if (!isObject(body)) throw invalid('the body of a request is a JSON object')
  const { query, operationName, variables, extensions } = body
  if (typeof query !== 'string' || query === '') throw invalid('query: a document is required')
  if (!isAbsent(operationName) && typeof operationName !== 'string') throw invalid('operationName: is a string')
  if (!isAbsent(variables) && !isObject(variables)) throw invalid('variables: is an object')
  if (!isAbsent(extensions) && !isObject(extensions)) throw invalid('extensions: is an object')
  return {
    query,
    operationName: (operationName as string | null) ?? undefined,
    variables: (variables as JsonObject | null) ?? {},
    extensions: (extensions as JsonObject | null) ?? {},
  }
}

function isAbsent(value: unknown): boolean {
  return value === undefined || value === null
}

function invalid(message: string): AppError {
  return new AppError('INVALID_INPUT', message)
}
