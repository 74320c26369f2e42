import type { QueryPlanSelectionNode } from '@apollo/query-planner'
import { isObject, type JsonObject, quote, readOwn } from '#platform/execution/json.ts'
import type { StandingField } from '../requires/settle.ts'
import type { TypeTest } from '../typeTests.ts'
import { mergeInto } from './merge.ts'
import type { Rewrite } from './rewrites.ts'

/** The JSON text by which a subgraph finds an entity again; undefined if what it needs is not there. */
export type RepresentationWriter = (row: JsonObject) => string | undefined

type Options = { typeTest: (type: string) => TypeTest; rewrite: Rewrite | undefined }
type ValueWriter = (value: unknown) => string
type Fragment = { matches: TypeTest; selections: readonly QueryPlanSelectionNode[] }

/**
 * Compiles what a fetch requires of its entities. Which of its fragments apply is settled once per type; where it is
 * one, the text is written at once, else it goes by way of an object.
 */
export function compileRepresentation(
  requires: readonly QueryPlanSelectionNode[],
  { typeTest, rewrite }: Options,
): RepresentationWriter {
  const fragments: Fragment[] = requires.flatMap((node) =>
    node.kind === 'InlineFragment' && node.typeCondition
      ? [{ matches: typeTest(node.typeCondition), selections: node.selections }]
      : [],
  )
  const writers = new Map<string, RepresentationWriter>()
  return (row) => {
    const typename = row.__typename
    if (typeof typename !== 'string') return undefined
    let write = writers.get(typename)
    if (!write) {
      const selections = fragments.filter(({ matches }) => matches(typename)).map((fragment) => fragment.selections)
      write = makeWriter(selections, typeTest, rewrite)
      // Names come from subgraphs: only those that mean something are kept.
      if (selections.length > 0) writers.set(typename, write)
    }
    return write(row)
  }
}

function makeWriter(
  fragments: readonly (readonly QueryPlanSelectionNode[])[],
  typeTest: (type: string) => TypeTest,
  rewrite: Rewrite | undefined,
): RepresentationWriter {
  const [only] = fragments
  if (!only) return () => undefined
  if (fragments.length === 1 && !rewrite && isPlain(only)) return compileObject(only)
  return (row) => {
    const whole: JsonObject = Object.create(null)
    for (const selections of fragments) {
      const part = pickRequired(row, selections, typeTest)
      if (part) mergeInto(whole, part)
    }
    if (!whole.__typename) return undefined
    rewrite?.(whole)
    return JSON.stringify(whole)
  }
}

function isPlain(selections: readonly QueryPlanSelectionNode[]): boolean {
  return selections.every((node) => node.kind === 'Field' && (!node.selections || isPlain(node.selections)))
}

/** Writes an object with these fields; undefined if one is missing. */
function compileObject(selections: readonly QueryPlanSelectionNode[]): RepresentationWriter {
  const fields = selections
    .filter((node): node is StandingField => node.kind === 'Field')
    .map((node, index) => {
      const key = responseNameOf(node)
      return {
        source: sourceOf(node),
        prefix: `${index > 0 ? ',' : ''}${JSON.stringify(key)}:`,
        write: compileValue(node),
      }
    })
  return (row) => {
    let text = '{'
    for (const { source, prefix, write } of fields) {
      const value = readOwn(row, source)
      if (value === undefined) return undefined
      text += prefix + write(value)
    }
    return `${text}}`
  }
}

function compileValue(node: StandingField): ValueWriter {
  if (!node.selections) return (value) => (typeof value === 'string' ? quote(value) : JSON.stringify(value))
  const writeObject = compileObject(node.selections)
  const write: ValueWriter = (value) => {
    if (Array.isArray(value)) return `[${value.map(write).join(',')}]`
    return isObject(value) ? (writeObject(value) ?? 'null') : 'null'
  }
  return write
}

/** The same as an object, for what may hold fragments. Null if a field is missing. */
function pickRequired(
  row: JsonObject,
  selections: readonly QueryPlanSelectionNode[],
  typeTest: (type: string) => TypeTest,
): JsonObject | null {
  const picked: JsonObject = Object.create(null)
  for (const node of selections) {
    if (node.kind === 'InlineFragment') {
      if (!node.typeCondition || !typeTest(node.typeCondition)(row.__typename)) continue
      const part = pickRequired(row, node.selections, typeTest)
      if (part) mergeInto(picked, part)
      continue
    }
    const value = readOwn(row, sourceOf(node))
    if (value === undefined) return null
    picked[responseNameOf(node)] = node.selections ? pickFromEach(value, node.selections, typeTest) : value
  }
  return picked
}

function pickFromEach(
  value: unknown,
  selections: readonly QueryPlanSelectionNode[],
  typeTest: (type: string) => TypeTest,
): unknown {
  if (Array.isArray(value)) return value.map((element) => pickFromEach(element, selections, typeTest))
  return isObject(value) ? pickRequired(value, selections, typeTest) : null
}

function responseNameOf(node: StandingField): string {
  return node.alias ?? node.name
}

/** The key that the value has among what was fetched. */
function sourceOf(node: StandingField): string {
  return node.readAs ?? responseNameOf(node)
}
