import type { LeadColumnInput } from '#graphql/oltp'
import { AppError } from '#platform/errors.ts'
import { readText } from '../texts.ts'
import { FileProblem } from './fileProblem.ts'

/** What a column of a file holds. `first_name` and `last_name` make up the name where there is no column for it. */
export type LeadColumnField = 'email' | 'name' | 'first_name' | 'last_name' | 'company' | 'title' | 'custom' | 'ignore'

/** A column that somebody has said something about. `name`: of the custom field. */
export type MappedColumn = { field: LeadColumnField; name?: string }

/** By header, as an import keeps it. */
export type ColumnMapping = Record<string, MappedColumn>

/** What each column of a file is, in order; null for one that nothing is read from. */
export type Columns = readonly ({ field: Exclude<LeadColumnField, 'custom' | 'ignore'> } | { custom: string } | null)[]

const MOST_COLUMNS = 200
/** As many as a lead may have. */
const MOST_CUSTOM = 100
const LONGEST_HEADER = 200
const FIELD_NAME = /^[\p{L}_][\p{L}\p{N}_-]{0,63}$/u

/** Headers that say by themselves what their column holds, without the signs between their words. */
const KNOWN: ReadonlyMap<string, LeadColumnField> = new Map([
  ...['email', 'emailaddress', 'mail', 'workemail', 'businessemail'].map((name) => [name, 'email'] as const),
  ...['name', 'fullname', 'leadname', 'contactname'].map((name) => [name, 'name'] as const),
  ...['firstname', 'givenname', 'forename'].map((name) => [name, 'first_name'] as const),
  ...['lastname', 'familyname', 'surname'].map((name) => [name, 'last_name'] as const),
  ...['company', 'companyname', 'organization', 'organisation'].map((name) => [name, 'company'] as const),
  ...['title', 'jobtitle', 'position'].map((name) => [name, 'title'] as const),
])

/**
 * What a client says of a file's columns.
 * @throws AppError INVALID_INPUT
 */
export function readMapping(given: readonly LeadColumnInput[] | null | undefined): ColumnMapping {
  if (!given) return {}
  if (given.length > MOST_COLUMNS) {
    throw new AppError('INVALID_INPUT', `columnMapping: has more than ${MOST_COLUMNS} columns`)
  }
  const mapping = new Map<string, MappedColumn>()
  for (const { column, field, customName } of given) {
    const header = readText(column, 'columnMapping.column', LONGEST_HEADER)
    if (mapping.has(header)) throw new AppError('INVALID_INPUT', `columnMapping: names the column ${header} twice`)
    if (customName != null && (field !== 'custom' || !isFieldName(customName))) {
      throw new AppError('INVALID_INPUT', 'columnMapping.customName: is not a name for a custom field')
    }
    mapping.set(header, { field, ...(customName != null && { name: customName }) })
  }
  if ([...mapping.values()].filter(({ field }) => field === 'email').length > 1) {
    throw new AppError('INVALID_INPUT', 'columnMapping: names two columns for the address')
  }
  return Object.fromEntries(mapping)
}

/**
 * What a file's columns are, by what was said of them, else by their headers; any other is a custom field.
 * @throws FileProblem when there is no column for the address, a column that was named is not there, or there are too many
 */
export function resolveColumns(mapping: ColumnMapping, header: readonly string[]): Columns {
  if (header.length > MOST_COLUMNS) {
    throw new FileProblem('too_many_columns', `the file has ${header.length} columns; at most ${MOST_COLUMNS} are read`)
  }
  const headers = header.map((name) => name.trim())
  const missing = Object.keys(mapping).find((name) => !headers.includes(name))
  if (missing !== undefined)
    throw new FileProblem('unknown_column', `the file has no column ${JSON.stringify(missing)}`)
  const taken = new Set<string>()
  // What somebody named counts first: a header that also looks like the field is then a custom one.
  for (const { field } of Object.values(mapping)) taken.add(field)
  const columns = headers.map((name) => resolveColumn(name, mapping, taken))
  if (!columns.some((column) => column !== null && 'field' in column && column.field === 'email')) {
    throw new FileProblem('no_email_column', 'no column holds addresses: name one, or give it the header email')
  }
  if (columns.filter((column) => column !== null && 'custom' in column).length > MOST_CUSTOM) {
    throw new FileProblem(
      'too_many_columns',
      `more than ${MOST_CUSTOM} columns would become custom fields: ignore some`,
    )
  }
  return columns
}

function resolveColumn(header: string, mapping: ColumnMapping, taken: Set<string>): Columns[number] {
  const said = Object.hasOwn(mapping, header) ? mapping[header] : undefined
  if (said) {
    if (said.field === 'ignore') return null
    return said.field === 'custom' ? makeCustom(said.name ?? header, taken) : { field: said.field }
  }
  const field = KNOWN.get(header.toLowerCase().replace(/[^\p{L}\p{N}]/gu, ''))
  if (field && field !== 'custom' && field !== 'ignore' && !taken.has(field)) {
    taken.add(field)
    return { field }
  }
  return makeCustom(header, taken)
}

/** A custom field's name made from a header: templates can't name one with spaces. Null for a column without a header. */
function makeCustom(header: string, taken: Set<string>): Columns[number] {
  const plain = header
    .toLowerCase()
    .replace(/[^\p{L}\p{N}_-]+/gu, '_')
    .replace(/^[^\p{L}_]+/u, '')
    .replace(/^_+(?=.)|_+$/g, '')
    .slice(0, 60)
  if (!isFieldName(plain)) return null
  let name = plain
  for (let number = 2; taken.has(`custom ${name}`); number++) name = `${plain}_${number}`
  taken.add(`custom ${name}`)
  return { custom: name }
}

function isFieldName(name: string): boolean {
  return FIELD_NAME.test(name) && !(name in Object.prototype)
}
