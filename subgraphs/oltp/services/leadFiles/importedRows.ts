import type { LeadImportErrorCode } from '#graphql/oltp'
import { AppError } from '#platform/errors.ts'
import { type LeadValues, readEmail, readLead } from '../leads/leadInput.ts'
import { cleanText } from '../texts.ts'
import type { Columns } from './leadColumns.ts'

/** A row of a file, by its number; the first after the header is 1. */
export type FileRow = {
  number: number
  cells: readonly string[]
  /** Its address stood in the file before, as far as the reader knows. */
  isRepeated: boolean
}

export type AcceptedRow = { number: number; isRepeated: boolean; lead: LeadValues }

/** What is wrong with one row. */
export type RowProblem = { number: number; code: LeadImportErrorCode; message: string; text: string | null }

/** What becomes of rows by themselves: whoever else has the address doesn't matter yet. */
export type ReadRows = { accepted: AcceptedRow[]; repeated: AcceptedRow[]; problems: RowProblem[] }

const LONGEST_TEXT = 500

/** Reads rows into leads. Of several with one address the first that is good counts. */
export function readRows(columns: Columns, rows: readonly FileRow[]): ReadRows {
  const read: ReadRows = { accepted: [], repeated: [], problems: [] }
  const seen = new Set<string>()
  for (const row of rows) {
    const outcome = readRow(columns, row)
    if ('code' in outcome) {
      read.problems.push({ ...outcome, number: row.number, text: cleanText(row.cells.join(' | '), LONGEST_TEXT) })
      continue
    }
    const accepted = { number: row.number, isRepeated: row.isRepeated, lead: outcome }
    if (seen.has(outcome.email)) read.repeated.push(accepted)
    else read.accepted.push(accepted)
    seen.add(outcome.email)
  }
  return read
}

type Refused = Pick<RowProblem, 'code' | 'message'>

function readRow(columns: Columns, { cells }: FileRow): LeadValues | Refused {
  if (cells.slice(columns.length).some((cell) => cell.trim() !== '')) {
    return { code: 'too_many_cells', message: `the row has ${cells.length} cells, the header ${columns.length}` }
  }
  if (cells.some((cell) => /[\0\p{Surrogate}]/u.test(cell))) {
    return { code: 'invalid_characters', message: 'the row holds characters that cannot be stored' }
  }
  const fields: Record<string, string> = {}
  const custom: Record<string, string> = {}
  columns.forEach((column, index) => {
    const cell = cells[index]?.trim()
    if (!column || !cell) return
    if ('custom' in column) custom[column.custom] = cell
    else fields[column.field] = cell
  })
  const { email, name, first_name: first, last_name: last, ...others } = fields
  if (!email) return { code: 'missing_email', message: 'the row has no address' }
  try {
    readEmail(email, 'email')
  } catch (error) {
    return { code: 'invalid_email', message: messageOf(error) }
  }
  const names = { ...(first && { first_name: first }), ...(last && { last_name: last }) }
  const whole = name ?? [first, last].filter(Boolean).join(' ')
  try {
    return readLead({ ...others, email, name: whole, custom: { ...names, ...custom } })
  } catch (error) {
    return { code: 'invalid_value', message: messageOf(error) }
  }
}

function messageOf(error: unknown): string {
  if (error instanceof AppError) return error.message
  throw error
}
