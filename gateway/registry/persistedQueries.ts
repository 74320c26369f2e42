import { GraphQLError } from 'graphql'
import { LRUCache } from 'lru-cache'
import { AppError } from '#platform/errors.ts'
import { hashOf, type RegisteredOperation } from './registeredOperations.ts'

/** What a request says of its document: the text, the text's hash, or both. */
export type DocumentRequest = {
  query?: unknown
  /** The hash, as some clients send it. */
  documentId?: unknown
  /** The hash, as Apollo's clients send it, in `persistedQuery`. */
  extensions?: unknown
}

export type FoundDocument = { text: string; isRegistered: boolean }

/** `registered`: only documents of `operations/`. `any`: others too, and their hashes are remembered. */
export type DocumentPolicy = 'registered' | 'any'

const MAX_REMEMBERED = 1_000
const MAX_REMEMBERED_TEXT = 8 * 1024 * 1024

/** Finds the document a request means, by its text or by its hash. */
export class PersistedQueries {
  readonly #byHash: ReadonlyMap<string, string>
  readonly #texts: ReadonlySet<string>
  readonly #remembered = new LRUCache<string, string>({
    max: MAX_REMEMBERED,
    maxSize: MAX_REMEMBERED_TEXT,
    sizeCalculation: (text) => text.length + 1,
  })

  constructor(registered: readonly RegisteredOperation[]) {
    this.#byHash = new Map(registered.map(({ id, body }) => [id, body]))
    this.#texts = new Set(registered.map(({ body }) => body))
  }

  /**
   * @throws AppError INVALID_INPUT without a document or with a hash that is not the text's; FORBIDDEN for one that is
   *         not registered where only those may be asked
   * @throws GraphQLError PERSISTED_QUERY_NOT_FOUND for an unknown hash, upon which Apollo's clients send the text too
   */
  find(request: DocumentRequest, policy: DocumentPolicy): FoundDocument {
    const text = typeof request.query === 'string' && request.query !== '' ? request.query : undefined
    const hash = readHash(request)
    if (hash === undefined) {
      if (text === undefined) throw new AppError('INVALID_INPUT', 'query: a document is required')
      return this.#admit(text, policy)
    }
    const registered = this.#byHash.get(hash)
    if (registered !== undefined) {
      // A text beside the hash is one more claim that must hold: nobody's answer depends on which of them is read.
      if (text !== undefined && hashOf(text) !== hash) throw wrongHash()
      return { text: registered, isRegistered: true }
    }
    if (text === undefined) {
      const remembered = policy === 'any' ? this.#remembered.get(hash) : undefined
      if (remembered !== undefined) return { text: remembered, isRegistered: false }
      throw new GraphQLError('PersistedQueryNotFound', { extensions: { code: 'PERSISTED_QUERY_NOT_FOUND' } })
    }
    if (hashOf(text) !== hash) throw wrongHash()
    const found = this.#admit(text, policy)
    this.#remembered.set(hash, text)
    return found
  }

  #admit(text: string, policy: DocumentPolicy): FoundDocument {
    const isRegistered = this.#texts.has(text)
    if (!isRegistered && policy === 'registered') {
      throw new AppError('FORBIDDEN', 'only registered operations may be asked here')
    }
    return { text, isRegistered }
  }
}

function readHash({ documentId, extensions }: DocumentRequest): string | undefined {
  if (documentId != null) return asHash(documentId)
  const persisted = asRecord(asRecord(extensions)?.persistedQuery)
  if (!persisted) return undefined
  if (persisted.version !== 1) throw new AppError('INVALID_INPUT', 'persistedQuery: only version 1 is known')
  return asHash(persisted.sha256Hash)
}

function asHash(value: unknown): string {
  const hash = typeof value === 'string' ? value.replace(/^sha256:/, '').toLowerCase() : ''
  if (!/^[0-9a-f]{64}$/.test(hash)) throw new AppError('INVALID_INPUT', 'the hash of a document is 64 hex digits')
  return hash
}

function asRecord(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
}

function wrongHash(): AppError {
  return new AppError('INVALID_INPUT', "the hash is not the document's")
}
