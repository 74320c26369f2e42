const LONE_SURROGATE = /\p{Surrogate}/gu

/** Text as PostgreSQL takes it: no null characters (refused by text and jsonb), no half of a surrogate pair. */
export function storableText(text: string): string {
  const whole = text.includes('\0') ? text.replaceAll('\0', '') : text
  return whole.replace(LONE_SURROGATE, '\ufffd')
}

const UNSTORABLE_ESCAPE = /\\\\|\\u0000|\\ud[89a-f][0-9a-f]{2}/g

/** JSON as jsonb takes it, wherever in it, also in names of fields, such text stands. */
export function storableJson(value: unknown): string {
  // JSON.stringify escapes surrogates only where they are alone; an escaped backslash is matched to be passed over.
  return JSON.stringify(value).replace(UNSTORABLE_ESCAPE, (found) => {
    if (found === '\\\\') return found
    return found === '\\u0000' ? '' : '\ufffd'
  })
}

/** The first `limit` characters, never half of a pair. */
export function cutText(text: string, limit: number): string {
  return text.length <= limit ? text : storableText(text.slice(0, limit))
}
