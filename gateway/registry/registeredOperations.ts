import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { Kind, parse, print } from 'graphql'

/** A document of `operations/`: what the frontend may ask. */
export type RegisteredOperation = {
  /** SHA-256 of `body`, in hex: what a client sends instead of it. */
  id: string
  name: string
  type: 'query' | 'mutation' | 'subscription'
  /** The document as it is registered: printed by graphql-js, without comments. */
  body: string
}

/** Apollo's persisted query manifest, version 1. */
export type OperationManifest = {
  format: 'apollo-persisted-query-manifest'
  version: 1
  operations: RegisteredOperation[]
}

export const OPERATIONS_FOLDER = new URL('../../operations/', import.meta.url)

/**
 * Reads every `.graphql` file of a folder: one operation each, of the file's name, with its fragments beside it.
 * @throws Error naming the file with no operation, several, one without a name, or a name that another has
 */
export function readRegisteredOperations(folder: URL = OPERATIONS_FOLDER): RegisteredOperation[] {
  const files = readdirSync(folder)
    .filter((file) => file.endsWith('.graphql'))
    .sort()
  const operations = files.map((file) => readOperation(file, readFileSync(new URL(file, folder), 'utf8')))
  const names = new Map<string, string>()
  operations.forEach(({ name }, index) => {
    const earlier = names.get(name)
    if (earlier) throw new Error(`operations/${files[index]}: ${earlier} is called ${name} too`)
    names.set(name, `operations/${files[index]}`)
  })
  return operations
}

function readOperation(file: string, text: string): RegisteredOperation {
  const document = parse(text)
  const [operation, another] = document.definitions.filter(({ kind }) => kind === Kind.OPERATION_DEFINITION)
  if (operation?.kind !== Kind.OPERATION_DEFINITION || another) {
    throw new Error(`operations/${file}: must hold one operation`)
  }
  if (!operation.name) throw new Error(`operations/${file}: the operation needs a name`)
  const body = print(document)
  return { id: hashOf(body), name: operation.name.value, type: operation.operation, body }
}

/** What a client names a document by. */
export function hashOf(body: string): string {
  return createHash('sha256').update(body).digest('hex')
}

export function makeManifest(operations: readonly RegisteredOperation[]): OperationManifest {
  return { format: 'apollo-persisted-query-manifest', version: 1, operations: [...operations] }
}
