import { type AttachmentFile, nameFiles } from './attachmentFiles.ts'
import { EMPTY_ENVELOPE, type Envelope, readEnvelope } from './mailEnvelope.ts'
import { findHeaderBlock, type HeaderField } from './mailHeaders.ts'
import { classifyMail, type MailKind } from './mailKinds.ts'
import { storableText } from './mailText.ts'
import { readMime } from './mimeReading.ts'

export type ParseStatus = 'parsed' | 'partial' | 'unparsed'

/** What was understood of a mail. Texts hold nothing that PostgreSQL refuses. */
export type ParsedMail = MailKind & {
  parseStatus: ParseStatus
  /** Why it was not understood wholly, e.g. `not_a_mail`, `header_cut`, `unknown_charset`. */
  parseProblems: string[]
  envelope: Envelope
  /** Lower-case name → value, or list of values where a field occurs more than once. */
  headers: Record<string, string | string[]>
  text: string | null
  html: string | null
  files: AttachmentFile[]
}

const UNPARSED: ParsedMail = {
  parseStatus: 'unparsed',
  parseProblems: [],
  envelope: EMPTY_ENVELOPE,
  headers: {},
  text: null,
  html: null,
  files: [],
  messageKind: 'email',
  report: null,
  isBulk: false,
}

/**
 * Reads a raw mail as far as it can be read. Never rejects and takes bounded time: what is no mail is `unparsed`, what is
 * broken or beyond the limits is `partial`. The original is kept elsewhere, whole, so nothing is lost by it.
 */
export async function parseMail(raw: Buffer): Promise<ParsedMail> {
  try {
    return await readMail(raw)
  } catch {
    return { ...UNPARSED, parseProblems: ['parser_failed'] }
  }
}

async function readMail(raw: Buffer): Promise<ParsedMail> {
  const block = findHeaderBlock(raw)
  if (!block) return { ...UNPARSED, parseProblems: ['not_a_mail'] }
  const { text, html, files: parts, problems, decodeWords } = await readMime(block.mail)
  if (block.cut) problems.add('header_cut')
  const fields = block.fields.map((field) => decodeField(field, decodeWords))
  const envelope = readEnvelope(fields)
  const files = await nameFiles(parts)
  return {
    ...classifyMail({ fields, text, files, envelope }),
    parseStatus: problems.size === 0 ? 'parsed' : 'partial',
    parseProblems: [...problems],
    envelope,
    headers: headerMap(fields),
    text: text && storableText(text),
    html: html && storableText(html),
    files,
  }
}

function decodeField({ name, value }: HeaderField, decodeWords: (value: string) => string): HeaderField {
  return { name, value: storableText(value.includes('=?') ? decodeOrKeep(value, decodeWords) : value) }
}

function decodeOrKeep(value: string, decodeWords: (value: string) => string): string {
  try {
    return decodeWords(value)
  } catch {
    return value
  }
}

function headerMap(fields: readonly HeaderField[]): Record<string, string | string[]> {
  const values = new Map<string, string[]>()
  for (const { name, value } of fields) {
    const known = values.get(name)
    if (known) known.push(value)
    else values.set(name, [value])
  }
  // fromEntries defines own properties: a field called __proto__ is a field like any other.
  return Object.fromEntries([...values].map(([name, all]) => [name, all.length === 1 ? (all[0] as string) : all]))
}
