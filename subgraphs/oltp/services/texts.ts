import { AppError } from '#platform/errors.ts'

/**
 * A text that a client wants stored, without the space around it.
 * @throws AppError INVALID_INPUT when it is empty, longer than `max` characters, or holds what PostgreSQL can't: a NUL or
 *         half a surrogate pair
 */
export function readText(text: string, field: string, max: number): string {
  const trimmed = text.trim()
  if (trimmed === '') throw new AppError('INVALID_INPUT', `${field}: is empty`)
  if (trimmed.length > max) throw new AppError('INVALID_INPUT', `${field}: has more than ${max} characters`)
  return requireStorable(trimmed, field)
}

/** The same for a text that may be missing; one that is empty counts as missing. */
export function readOptionalText(text: string | null | undefined, field: string, max: number): string | null {
  return text?.trim() ? readText(text, field, max) : null
}

/**
 * A text that a client wants stored just as it is; one that is blank counts as missing.
 * @throws AppError INVALID_INPUT as `readText`
 */
export function readBody(text: string | null | undefined, field: string, max: number): string | null {
  if (!text?.trim()) return null
  if (text.length > max) throw new AppError('INVALID_INPUT', `${field}: has more than ${max} characters`)
  return requireStorable(text, field)
}

/**
 * Short texts that a client wants stored, each once, in their order.
 * @throws AppError INVALID_INPUT when there are more than `most`, or for one of them as `readText`
 */
export function readList(
  texts: readonly string[],
  field: string,
  { most, longest }: { most: number; longest: number },
) {
  const list = [...new Set(texts.map((text) => readText(text, field, longest)))]
  if (list.length > most) throw new AppError('INVALID_INPUT', `${field}: are more than ${most}`)
  return list
}

/** No text that is kept here and can be filtered by is longer, but for a mail's subject: it is searched by a piece. */
const MAX_FILTER_LENGTH = 500

/**
 * A text to compare with; none doesn't filter.
 * @throws AppError INVALID_INPUT when it is longer than 500 characters, or holds a NUL or half a surrogate pair
 */
export function filterText(text: string | null | undefined, field: string): string | undefined {
  if (text == null) return undefined
  if (text.length > MAX_FILTER_LENGTH) {
    throw new AppError('INVALID_INPUT', `${field}: has more than ${MAX_FILTER_LENGTH} characters`)
  }
  return requireStorable(text, field)
}

/** A text to be found anywhere and in any case, as Prisma takes it; `%` and `_` stand for themselves. */
export function filterSearch(text: string | null | undefined) {
  const wanted = filterText(text?.trim() || null, 'search')
  if (wanted === undefined) return undefined
  return { contains: wanted.replace(/[\\%_]/g, '\\$&'), mode: 'insensitive' as const }
}

/** Text of a mail as PostgreSQL can keep it: without NULs and broken characters, at most `max` long; null when empty. */
export function cleanText(text: string | null | undefined, max: number): string | null {
  if (!text) return null
  // The round trip makes lone surrogates, also one that slice() cut, into replacement characters.
  const clean = Buffer.from(text.replaceAll('\0', '').slice(0, max)).toString()
  return clean === '' ? null : clean
}

function requireStorable(text: string, field: string): string {
  if (text.includes('\0')) throw new AppError('INVALID_INPUT', `${field}: holds a NUL character`)
  if (/\p{Surrogate}/u.test(text)) throw new AppError('INVALID_INPUT', `${field}: holds half a surrogate pair`)
  return text
}
