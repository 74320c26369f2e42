import { type DocumentNode, print } from 'graphql'
import { AppError } from '#platform/errors.ts'
import type { Admission } from '../pipeline/engine.ts'
import { hashOf, type RegisteredOperation } from '../registry/registeredOperations.ts'
import { findOperation, LIMITS, type Limits, measureDocument, refuseBeyondLimits } from './limits.ts'
import type { Measure } from './measure.ts'

/** `registered`: clients may ask the documents of `operations/` and nothing else, staff anything. `any`: anybody anything. */
export type AdmissionPolicy = 'registered' | 'any'

/** What is known of a document: documents are kept as long as they are asked often, so it is found out once. */
type Known = { isRegistered: boolean; measures: Map<string, Measure> }

/**
 * Decides what may be asked: registered operations always, others by policy and within the limits. A registered document
 * is one however it is laid out.
 */
export function makeAdmission(
  registered: readonly RegisteredOperation[],
  { policy, limits }: { policy: AdmissionPolicy; limits: Limits },
): Admission {
  const idsByName = new Map(registered.map(({ name, id }) => [name, id]))
  const documents = new WeakMap<DocumentNode, Known>()

  return ({ schema, document, operationName, variables }, { caller }) => {
    const known = documents.get(document)
    if (known?.isRegistered) return
    const operation = operationName ?? ''
    let measure = known?.measures.get(operation)
    if (!measure) {
      const measured = measureDocument(schema, document, { operationName, variables })
      measure = measured.measure
      const isRegistered = known?.isRegistered ?? isOneOf(idsByName, document, operationName, measure)
      const measures = known?.measures ?? new Map<string, Measure>()
      if (!measured.readsVariables) measures.set(operation, measure)
      if (!known) documents.set(document, { isRegistered, measures })
      if (isRegistered) return
    }
    if (policy === 'registered' && caller.kind !== 'staff') {
      throw new AppError('FORBIDDEN', 'only registered operations may be asked here')
    }
    refuseBeyondLimits(measure, limits)
  }
}

function isOneOf(
  idsByName: ReadonlyMap<string, string>,
  document: DocumentNode,
  operationName: string | undefined,
  { depth }: Measure,
): boolean {
  const id = idsByName.get(findOperation(document, operationName).name?.value ?? '')
  // Printing takes the square of the depth: what is deeper than anything registered need not be printed.
  return id !== undefined && depth <= LIMITS.depth && hashOf(print(document)) === id
}
