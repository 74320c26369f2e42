import {
  type DocumentNode,
  GraphQLError,
  type GraphQLSchema,
  parse,
  specifiedRules,
  type ValidationRule,
  validate,
} from 'graphql'
import { LRUCache } from 'lru-cache'

/**
 * Looks at what is asked, each time: when it is new, after parsing and before anything whose cost grows with what was
 * written. Throws to refuse it.
 */
export type DocumentCheck = (document: DocumentNode) => void

export type OperationsOptions<Operation> = {
  /** What documents are validated against. */
  schema: GraphQLSchema
  /** Rules of our own, besides the specification's. */
  rules?: readonly ValidationRule[]
  /** Documents of more tokens are not parsed to their end. */
  maxTokens?: number
  /** Makes of a valid document what can be run. @throws GraphQLError if that may not be run */
  compile: (document: DocumentNode, operationName: string | undefined) => Operation
}

/** Either an operation that can be run, or why there is none. */
export type Found<Operation> = { operation: Operation } | { errors: readonly GraphQLError[] }

/** How many operations stay compiled, and how much text they may have in all; characters. */
const MAX_OPERATIONS = 2_000
const MAX_TEXT = 32 * 1024 * 1024

const NAME = /^\w*$/

/** The operations of one schema, each compiled when it is first asked for and then kept. */
export class Operations<Operation extends { document: DocumentNode }> {
  private readonly options: OperationsOptions<Operation>
  private readonly rules: readonly ValidationRule[]
  private readonly byText = new LRUCache<string, { operation: Operation }>({
    max: MAX_OPERATIONS,
    maxSize: MAX_TEXT,
    sizeCalculation: (_found, text) => text.length + 1,
  })
  private readonly byDocument = new WeakMap<DocumentNode, Map<string, Found<Operation>>>()

  constructor(options: OperationsOptions<Operation>) {
    this.options = options
    this.rules = [...specifiedRules, ...(options.rules ?? [])]
  }

  /** The operation of a text as a client sent it. */
  findByText(query: string, operationName: string | undefined, check?: DocumentCheck): Found<Operation> {
    if (operationName !== undefined && !NAME.test(operationName)) return this.compileText(query, operationName, check)
    // No name holds a line break, so no text can pass for another.
    const key = `${operationName ?? ''}\n${query}`
    const known = this.byText.get(key)
    if (known) {
      check?.(known.operation.document)
      return known
    }
    const found = this.compileText(query, operationName, check)
    // What was refused is cheap to refuse again, and need not push out what is asked often.
    if ('operation' in found) this.byText.set(key, found)
    return found
  }

  /** The operation of a document that someone else has parsed. */
  findByDocument(document: DocumentNode, operationName: string | undefined, check?: DocumentCheck): Found<Operation> {
    check?.(document)
    const known = this.byDocument.get(document) ?? new Map<string, Found<Operation>>()
    this.byDocument.set(document, known)
    const found = known.get(operationName ?? '') ?? this.compileDocument(document, operationName)
    if ('operation' in found) known.set(operationName ?? '', found)
    return found
  }

  private compileText(query: string, operationName: string | undefined, check?: DocumentCheck): Found<Operation> {
    const { maxTokens } = this.options
    let document: DocumentNode
    try {
      document = parse(query, { maxTokens })
    } catch (error) {
      return { errors: [asParseError(error)] }
    }
    return this.findByDocument(document, operationName, check)
  }

  private compileDocument(document: DocumentNode, operationName: string | undefined): Found<Operation> {
    const { schema, compile } = this.options
    const faults = validate(schema, document, this.rules, { maxErrors: 100, hideSuggestions: true })
    if (faults.length > 0) return { errors: faults.map((fault) => withCode(fault, 'GRAPHQL_VALIDATION_FAILED')) }
    try {
      return { operation: compile(document, operationName) }
    } catch (error) {
      if (error instanceof GraphQLError) return { errors: [error] }
      throw error
    }
  }
}

function withCode(error: GraphQLError, code: string): GraphQLError {
  const { nodes, source, positions, path, originalError, extensions } = error
  return new GraphQLError(error.message, {
    nodes,
    source,
    positions,
    path,
    originalError,
    extensions: { ...extensions, code },
  })
}

/** Text that is nested so deeply that reading it exhausts the stack is as unreadable as any other. */
function asParseError(error: unknown): GraphQLError {
  if (error instanceof GraphQLError) return withCode(error, 'GRAPHQL_PARSE_FAILED')
  if (error instanceof RangeError)
    return new GraphQLError(error.message, { extensions: { code: 'GRAPHQL_PARSE_FAILED' } })
  throw error
}
