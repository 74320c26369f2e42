import type { FetchDataRewrite } from '@apollo/query-planner'
import { isObject, type JsonObject, readOwn } from '#platform/execution/json.ts'
import type { TypeTest } from '../typeTests.ts'

/** Changes an object in place. */
export type Rewrite = (row: JsonObject) => void

const CONDITION = '... on '

/** Compiles the planner's rewrites (an interface's name for an object's, an alias back to its name); none is undefined. */
export function compileRewrites(
  rewrites: readonly FetchDataRewrite[] | undefined,
  typeTest: (type: string) => TypeTest,
): Rewrite | undefined {
  if (!rewrites?.length) return undefined
  const all = rewrites.map((rewrite) => compileAt(rewrite.path, changeOf(rewrite), typeTest))
  return (row) => {
    for (const rewrite of all) rewrite(row)
  }
}

function changeOf(rewrite: FetchDataRewrite): Rewrite {
  const key = rewrite.path.at(-1) ?? ''
  if (key === '__proto__' || (rewrite.kind === 'KeyRenamer' && rewrite.renameKeyTo === '__proto__')) return () => {}
  if (rewrite.kind === 'ValueSetter') {
    return (row) => {
      row[key] = rewrite.setValueTo
    }
  }
  return (row) => {
    const value = readOwn(row, key)
    if (value === undefined) return
    row[rewrite.renameKeyTo] = value
    row[key] = undefined
  }
}

function compileAt(path: readonly string[], change: Rewrite, typeTest: (type: string) => TypeTest): Rewrite {
  const [first, ...rest] = path
  if (first === undefined || rest.length === 0) return change
  const inner = compileAt(rest, change, typeTest)
  if (first.startsWith(CONDITION)) {
    const isOfType = typeTest(first.slice(CONDITION.length))
    return (row) => {
      // Without a name the planner knows that there is only one type it can be.
      if (row.__typename === undefined || isOfType(row.__typename)) inner(row)
    }
  }
  return (row) => applyToEach(readOwn(row, first), inner)
}

function applyToEach(value: unknown, rewrite: Rewrite): void {
  if (Array.isArray(value)) for (const element of value) applyToEach(element, rewrite)
  else if (isObject(value)) rewrite(value)
}
