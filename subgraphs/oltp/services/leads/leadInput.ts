import { domainToASCII } from 'node:url'
import { AppError } from '#platform/errors.ts'
import type { LeadRow } from '../rows.ts'
import { readOptionalText, readText } from '../texts.ts'

/** What a person or a file says of a lead. */
export type LeadValues = Pick<LeadRow, 'email' | 'name' | 'company' | 'title'> & { custom: CustomFields }

/** The tenant's own fields; templates read them as `lead.custom.<name>`. */
export type CustomFields = Record<string, string | number | boolean | null>

type Given = { [Field in keyof LeadValues]?: unknown }

const MAX_FIELDS = 100
const MAX_CUSTOM_BYTES = 16_384
const LONGEST_EMAIL = 254
const FIELD_NAME = /^[\p{L}_][\p{L}\p{N}_-]{0,63}$/u
const LOCAL_PART = /^[^\s@<>(),;:"[\]\\\p{Cc}]{1,64}$/u
const DOMAIN = /^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]$/

/**
 * A lead's values as they are stored: the address in lower case with its domain in ASCII, empty texts as null.
 * @throws AppError INVALID_INPUT naming the field
 */
export function readLead(given: Given): LeadValues {
  return {
    email: readEmail(given.email, 'email'),
    name: readOptionalText(asText(given.name, 'name'), 'name', 200),
    company: readOptionalText(asText(given.company, 'company'), 'company', 200),
    title: readOptionalText(asText(given.title, 'title'), 'title', 200),
    custom: readCustomFields(given.custom, 'custom'),
  }
}

/**
 * An address in the one form it is kept in.
 * @throws AppError INVALID_INPUT
 */
export function readEmail(given: unknown, field: string): string {
  const email = readText(asText(given, field) ?? '', field, LONGEST_EMAIL)
  const at = email.lastIndexOf('@')
  const localPart = email.slice(0, at).toLowerCase()
  if (at < 1 || !LOCAL_PART.test(localPart)) throw new AppError('INVALID_INPUT', `${field}: is not an address`)
  return `${localPart}@${readDomain(email.slice(at + 1), field)}`
}

/**
 * A domain's name in the one form it is kept in: lower case, ASCII, without a dot at its end.
 * @throws AppError INVALID_INPUT
 */
export function readDomain(given: string, field: string): string {
  const domain = asciiDomain(readText(given, field, 253))
  if (!DOMAIN.test(domain)) throw new AppError('INVALID_INPUT', `${field}: is not a domain's name`)
  return domain
}

/** A name as DNS knows it, without a dot at its end; empty for what is none. What belongs to a URL is not cut off. */
export function asciiDomain(text: string): string {
  return /[/?#@:\\%\s]/.test(text) ? '' : domainToASCII(text.replace(/\.$/, ''))
}

/**
 * Custom fields: an object of texts, numbers, booleans and nulls.
 * @throws AppError INVALID_INPUT when it is anything else, or too much
 */
export function readCustomFields(given: unknown, field: string): CustomFields {
  if (given == null) return {}
  if (typeof given !== 'object' || Array.isArray(given)) {
    throw new AppError('INVALID_INPUT', `${field}: is not an object of fields`)
  }
  const entries = Object.entries(given).map(([name, value]) => [readFieldName(name, field), value] as const)
  if (entries.length > MAX_FIELDS) throw new AppError('INVALID_INPUT', `${field}: has more than ${MAX_FIELDS} fields`)
  for (const [name, value] of entries) {
    if (value !== null && !['string', 'number', 'boolean'].includes(typeof value)) {
      throw new AppError('INVALID_INPUT', `${field}.${name}: is neither a text, a number, a boolean nor null`)
    }
    if (typeof value === 'string' && value.trim()) readText(value, `${field}.${name}`, MAX_CUSTOM_BYTES)
  }
  const fields = Object.fromEntries(entries) as CustomFields
  if (Buffer.byteLength(JSON.stringify(fields)) > MAX_CUSTOM_BYTES) {
    throw new AppError('INVALID_INPUT', `${field}: has more than ${MAX_CUSTOM_BYTES} bytes`)
  }
  return fields
}

function readFieldName(name: string, field: string): string {
  if (FIELD_NAME.test(name) && !(name in Object.prototype)) return name
  throw new AppError('INVALID_INPUT', `${field}: ${JSON.stringify(name.slice(0, 80))} is not a field's name`)
}

function asText(given: unknown, field: string): string | null {
  if (given == null) return null
  if (typeof given !== 'string') throw new AppError('INVALID_INPUT', `${field}: is not a text`)
  return given
}
