import { isObject, type JsonObject } from '#platform/execution/json.ts'

/**
 * Merges what one fetch brought into what there is: objects by key, lists of one length by index, all else replaces.
 * What is taken over is shared, not copied.
 */
export function mergeInto(target: JsonObject, source: JsonObject): void {
  for (const key in source) {
    // As a key of JSON it is harmless; assigned, it would change what the object inherits.
    if (key === '__proto__') continue
    const value = source[key]
    if (value === undefined) continue
    const old = target[key]
    if (typeof value !== 'object' || value === null || typeof old !== 'object' || old === null) target[key] = value
    else if (Array.isArray(value)) target[key] = Array.isArray(old) ? mergeLists(old, value) : value
    else if (isObject(old)) mergeInto(old, value as JsonObject)
    else target[key] = value
  }
}

function mergeLists(old: unknown[], list: unknown[]): unknown[] {
  if (old.length !== list.length) return list
  list.forEach((value, index) => {
    const there = old[index]
    if (isObject(there) && isObject(value)) mergeInto(there, value)
    else if (Array.isArray(there) && Array.isArray(value)) old[index] = mergeLists(there, value)
    else old[index] = value
  })
  return old
}
