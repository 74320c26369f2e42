import { LRUCache } from 'lru-cache'
import { AppError } from '#platform/errors.ts'
import { hashOf, type RegisteredOperation } from './registeredOperations.ts'

/** What a request says of its document: the text, the text's SHA-256 in hex, or both. */
export type DocumentName = { query?: string | undefined; hash?: string | undefined }

const MAX_REMEMBERED = 1_000
const MAX_REMEMBERED_TEXT = 8 * 1024 * 1024

/** Upon these very words Apollo's clients send the text along. */
const NOT_FOUND = 'PersistedQueryNotFound'

/** Finds a document's text by its hash: of registered operations, and of texts that came with theirs before. */
export class PersistedQueries {
  readonly #registered: ReadonlyMap<string, string>
  readonly #remembered = new LRUCache<string, string>({
    max: MAX_REMEMBERED,
    maxSize: MAX_REMEMBERED_TEXT,
    sizeCalculation: (text) => text.length + 1,
  })

  constructor(registered: readonly RegisteredOperation[]) {
    this.#registered = new Map(registered.map(({ id, body }) => [id, body]))
  }

  /**
   * The text a request means. Whether it may be asked is not decided here.
   * @throws AppError INVALID_INPUT without text and hash, or with a hash that is not the text's; NOT_FOUND for a hash
   *         that is not known
   */
  resolve({ query, hash }: DocumentName): string {
    if (hash === undefined) {
      if (!query) throw new AppError('INVALID_INPUT', 'query: a document is required')
      return query
    }
    if (!query) {
      const text = this.#registered.get(hash) ?? this.#remembered.get(hash)
      if (text === undefined) throw new AppError('NOT_FOUND', NOT_FOUND)
      return text
    }
    // A hash that is not its text's would have others be answered what they did not ask.
    if (hashOf(query) !== hash) throw new AppError('INVALID_INPUT', "the hash is not the document's")
    if (!this.#registered.has(hash)) this.#remembered.set(hash, query)
    return query
  }
}
