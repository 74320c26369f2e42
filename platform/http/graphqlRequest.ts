import { AppError } from '#platform/errors.ts'
import { isObject, type JsonObject } from '#platform/execution/json.ts'

/** What a client asks: a document by its text, by the text's hash (64 hex digits), or by both. */
export type GraphqlRequest = {
  query: string | undefined
  hash: string | undefined
  operationName: string | undefined
  variables: JsonObject
}

/**
 * Reads a request from the JSON of its body. The hash may stand where Apollo's clients put it
 * (`extensions.persistedQuery.sha256Hash`) or in `documentId`.
 * @throws AppError INVALID_INPUT
 */
export function readGraphqlRequest(body: unknown): GraphqlRequest {
  if (Array.isArray(body)) throw invalid('one operation at a time: a list of them is not taken')
  if (!isObject(body)) throw invalid('the body of a request is a JSON object')
  const { query, operationName, variables, extensions } = body
  if (!isAbsent(query) && typeof query !== 'string') throw invalid('query: is a document in a string')
  if (!isAbsent(operationName) && typeof operationName !== 'string') throw invalid('operationName: is a string')
  if (!isAbsent(variables) && !isObject(variables)) throw invalid('variables: is an object')
  if (!isAbsent(extensions) && !isObject(extensions)) throw invalid('extensions: is an object')
  const hash = readHash(body)
  if (!query && hash === undefined) throw invalid('query: a document is required')
  return {
    query: (query as string | null) || undefined,
    hash,
    operationName: (operationName as string | null) ?? undefined,
    variables: (variables as JsonObject | null) ?? {},
  }
}

function readHash({ documentId, extensions }: JsonObject): string | undefined {
  if (!isAbsent(documentId)) return asHash(documentId)
  const persisted = isObject(extensions) ? extensions.persistedQuery : undefined
  if (!isObject(persisted)) return undefined
  if (persisted.version !== 1) throw invalid('persistedQuery: only version 1 is known')
  return asHash(persisted.sha256Hash)
}

function asHash(value: unknown): string {
  const hash = typeof value === 'string' ? value.replace(/^sha256:/, '').toLowerCase() : ''
  if (!/^[0-9a-f]{64}$/.test(hash)) throw invalid('the hash of a document is 64 hex digits')
  return hash
}

function isAbsent(value: unknown): boolean {
  return value === undefined || value === null
}

function invalid(message: string): AppError {
  return new AppError('INVALID_INPUT', message)
}
