import { isObject, type JsonObject, readOwn } from '#platform/execution/json.ts'

/** A path within the data: keys, and `@` for every element of a list. */
export type PlanPath = readonly string[]

/** All objects at a path, in order; nulls left out. */
export function gather(value: unknown, path: PlanPath): JsonObject[] {
  const found: JsonObject[] = []
  gatherFrom(value, path, 0, found)
  return found
}

/**
 * Where the objects that `gather` finds are, in the same order. Only errors need it: what it costs, answers without
 * errors don't pay.
 */
export function locate(value: unknown, path: PlanPath): (string | number)[][] {
  const found: (string | number)[][] = []
  locateFrom(value, path, 0, [], found)
  return found
}

function gatherFrom(value: unknown, path: PlanPath, at: number, found: JsonObject[]): void {
  if (Array.isArray(value)) {
    const next = path[at] === '@' ? at + 1 : at
    for (const element of value) gatherFrom(element, path, next, found)
  } else if (isObject(value)) {
    const key = path[at]
    if (key === undefined) found.push(value)
    else gatherFrom(readOwn(value, key), path, at + 1, found)
  }
}

function locateFrom(
  value: unknown,
  path: PlanPath,
  at: number,
  here: (string | number)[],
  found: (string | number)[][],
): void {
  if (Array.isArray(value)) {
    const next = path[at] === '@' ? at + 1 : at
    value.forEach((element, index) => {
      locateFrom(element, path, next, [...here, index], found)
    })
  } else if (isObject(value)) {
    const key = path[at]
    if (key === undefined) found.push(here)
    else locateFrom(readOwn(value, key), path, at + 1, [...here, key], found)
  }
}
