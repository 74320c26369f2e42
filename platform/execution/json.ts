/** What JSON.parse makes of an object. Its own keys are a subgraph's or a client's: never trust an inherited one. */
export type JsonObject = Record<string, unknown>

const INHERITED: ReadonlySet<string> = new Set(Object.getOwnPropertyNames(Object.prototype))

/** Characters that JSON text does not take as they are, lone surrogates among them. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const NEEDS_ESCAPE = /["\\\u0000-\u001f\ud800-\udfff]/

/** Whether every object has something under this name (`constructor`), so that reading it needs a look at whose it is. */
export function isInherited(key: string): boolean {
  return INHERITED.has(key)
}

/** An object's own value, else undefined. */
export function readOwn(row: JsonObject, key: string): unknown {
  return Object.hasOwn(row, key) ? row[key] : undefined
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A string as JSON text. */
export function quote(text: string): string {
  return NEEDS_ESCAPE.test(text) ? JSON.stringify(text) : `"${text}"`
}
