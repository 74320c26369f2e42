import pg from 'pg'
import { AppError } from '../errors.ts'

type Parser = (text: string) => unknown
/** Where pg looks up how to read a column. */
export type Types = { getTypeParser(oid: number, format?: string): Parser }

const { TIMESTAMPTZ } = pg.types.builtins
const TEXT_ARRAY = 1009

/**
 * PrismaPg's parsers, kept. Every statement brings an equal table of its own; one table for all lets a prepared
 * statement keep its columns' parsers. Two of them, which took a tenth of a page's time, have a faster way for what is
 * usual: rare forms are left to PrismaPg.
 */
export class KeptTypes implements Types {
  readonly #parsers = new Map<number, Parser>()
  #source: Types | undefined

  from(source: Types): this {
    this.#source ??= source
    return this
  }

  getTypeParser(oid: number, format = 'text'): Parser {
    if (format !== 'text' || !this.#source) throw new AppError('INTERNAL', `no parser for type ${oid} as ${format}`)
    const kept = this.#parsers.get(oid)
    if (kept) return kept
    const parser = fasterParser(oid, this.#source.getTypeParser(oid, format))
    this.#parsers.set(oid, parser)
    return parser
  }
}

function fasterParser(oid: number, parse: Parser): Parser {
  if (oid === TIMESTAMPTZ) return (text) => readInstant(text) ?? parse(text)
  if (oid === TEXT_ARRAY) return (text) => readPlainTexts(text) ?? parse(text)
  return parse
}

/**
 * Milliseconds since 1970, which Prisma takes for a date as well as a text, of `2026-11-22 11:46:11.329+00`, as a session
 * in UTC writes it. Null for years past 9999 or before 1 and for `infinity`.
 */
export function readInstant(text: string): number | null {
  if (text.charAt(10) !== ' ' || !text.endsWith('+00')) return null
  return Date.parse(`${text.slice(0, 10)}T${text.slice(11, -3)}Z`)
}

/** The items of an array of texts of which none needs quotes; null when one does, or for a NULL or an array in it. */
export function readPlainTexts(text: string): string[] | null {
  if (text === '{}') return []
  if (/["{}\\]|\bNULL\b/i.test(text.slice(1, -1))) return null
  return text.slice(1, -1).split(',')
}
