import {
  GraphQLError,
  type GraphQLNullableType,
  type GraphQLOutputType,
  isLeafType,
  isListType,
  isNonNullType,
  locatedError,
} from 'graphql'
import {
  type Execution,
  type FieldPlace,
  isPromise,
  type Path,
  type Settled,
  type ValueWriter,
  type Written,
} from './execution.ts'
import { leafWriter } from './leaves.ts'
import { Pieces } from './pieces.ts'

/** Writes a value that is there, of a type without lists around it. May throw. */
export type CompositeCompiler = (type: GraphQLNullableType) => ValueWriter

/** What writes the values of one type at one place of an operation, and what becomes of an error there. */
export type ValuePlan = {
  write: ValueWriter
  fail: (thrown: unknown, parent: Path | undefined, key: string | number, run: Execution) => Settled
}

/**
 * Compiles the writing of a type's values: waits for them, writes null where it may stand, and stops errors there.
 * @param compileComposite for objects, interfaces and unions
 */
export function compileValue(
  type: GraphQLOutputType,
  place: FieldPlace,
  compileComposite: CompositeCompiler,
): ValuePlan {
  const isRequired = isNonNullType(type)
  const nullable = (isRequired ? type.ofType : type) as GraphQLNullableType
  const writePresent = compilePresent(nullable, place, compileComposite)

  const settle = (written: Settled, run: Execution): Settled => {
    if (typeof written === 'string' || isRequired) return written
    run.errors.push(written)
    return 'null'
  }
  const fail: ValuePlan['fail'] = (thrown, parent, key, run) => settle(locate(thrown, place, parent, key), run)
  const writeNow: ValueWriter = (value, parent, key, run) => {
    if (value === null || value === undefined) return isRequired ? fail(missing(place), parent, key, run) : 'null'
    let written: Written
    try {
      if (value instanceof Error) throw value
      written = writePresent(value, parent, key, run)
    } catch (error) {
      return fail(error, parent, key, run)
    }
    if (typeof written === 'string') return written
    return written instanceof Promise
      ? isRequired
        ? written
        : written.then((later) => settle(later, run))
      : settle(written, run)
  }
  return {
    fail,
    write(value, parent, key, run) {
      if (!isPromise(value)) return writeNow(value, parent, key, run)
      // An adopted thenable may be one that only begins when it is awaited, as Prisma's are.
      return Promise.resolve(value).then(
        (present) => writeNow(present, parent, key, run),
        (error) => fail(error, parent, key, run),
      )
    },
  }
}

function compilePresent(
  type: GraphQLNullableType,
  place: FieldPlace,
  compileComposite: CompositeCompiler,
): ValueWriter {
  if (isListType(type))
    return listWriter(compileValue(type.ofType as GraphQLOutputType, place, compileComposite), place)
  if (isLeafType(type)) return leafWriter(type)
  return compileComposite(type)
}

function listWriter({ write }: ValuePlan, { label }: FieldPlace): ValueWriter {
  return (value, parent, key, run) => {
    const items = readItems(value, label)
    const path: Path = { prev: parent, key, typename: undefined }
    const pieces = new Pieces('[')
    for (let i = 0; i < items.length; i += 1) {
      const written = write(items[i], path, i, run)
      if (written instanceof GraphQLError) {
        forget(items.slice(i + 1))
        return pieces.abandon(written)
      }
      pieces.add(i > 0 ? ',' : '', written)
    }
    return pieces.finish(']')
  }
}

function readItems(value: unknown, label: string): readonly unknown[] {
  if (Array.isArray(value)) return value
  if (typeof value === 'object' && value !== null && Symbol.iterator in value) return [...(value as Iterable<unknown>)]
  throw new Error(`Expected Iterable, but did not find one for field "${label}".`)
}

/** Nobody waits for these any more; a promise that fails and that nobody heeds would end the process. */
function forget(items: readonly unknown[]): void {
  for (const item of items) if (isPromise(item)) item.then(undefined, () => {})
}

function missing({ label }: FieldPlace): Error {
  return new Error(`Cannot return null for non-nullable field ${label}.`)
}

function locate(thrown: unknown, { nodes }: FieldPlace, parent: Path | undefined, key: string | number): GraphQLError {
  const path = [key]
  for (let at = parent; at; at = at.prev) path.unshift(at.key)
  return locatedError(thrown, nodes, path)
}
