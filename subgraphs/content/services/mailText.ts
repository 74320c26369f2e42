const LONE_SURROGATE = /\p{Surrogate}/gu

/** Text as PostgreSQL takes it: no null characters (refused by text and jsonb), no half of a surrogate pair. */
export function storableText(text: string): string {
  const whole = text.includes('\0') ? text.replaceAll('\0', '') : text
  return whole.replace(LONE_SURROGATE, '\ufffd')
}

/** The first `limit` characters, never half of a pair. */
export function cutText(text: string, limit: number): string {
  return text.length <= limit ? text : storableText(text.slice(0, limit))
}
