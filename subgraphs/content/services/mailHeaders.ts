import { isUtf8 } from 'node:buffer'

/** One header field: lower-case name, value unfolded; encoded words (`=?…?=`) still encoded. */
export type HeaderField = { name: string; value: string }

export type HeaderBlock = {
  fields: HeaderField[]
  /** Whether anything was left out to stay within the limits. */
  cut: boolean
  /** The mail with its header so bounded: what the MIME parser gets. */
  mail: Buffer
}

const MAX_FIELDS = 1000
const MAX_BYTES = 128 * 1024
const MAX_FIELD_BYTES = 16 * 1024
/** How far the end of the header is looked for field by field. */
const MAX_SCANNED_BYTES = 4 * 1024 * 1024

/** Fields that make a mail what it is: kept (a few of each) when a flood of others is cut. One of them makes a file a mail. */
const ESSENTIAL = new Set(
  `from to cc subject date sender reply-to return-path message-id in-reply-to references received mime-version
  content-type content-transfer-encoding content-disposition delivered-to x-original-to envelope-to auto-submitted
  precedence list-id list-post list-unsubscribe x-autoreply x-auto-reply x-autorespond x-failed-recipients`.split(
    /\s+/,
  ),
)
const MAX_OF_AN_ESSENTIAL = 10

const LINE_FEED = 0x0a
const CARRIAGE_RETURN = 0x0d
const BLANKS = new Set([0x20, 0x09])
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf])

/**
 * Splits off and bounds the header of a raw mail, so that neither 10,000 fields nor one of 20 MB cost more than a moment.
 * Null when nothing in it looks like a mail's header: the file is not a mail.
 */
export function findHeaderBlock(raw: Buffer): HeaderBlock | null {
  const start = skipPreamble(raw)
  const { spans, bodyStart, cut: scanCut } = scanFields(raw, start)
  if (!spans.some(({ name }) => ESSENTIAL.has(name))) return null
  const kept = keepWithinLimits(spans)
  const shortened = kept.some(({ start, end }) => end - start > MAX_FIELD_BYTES)
  const cut = scanCut || shortened || kept.length < spans.length
  const fields = kept.map((span) => readField(raw, span))
  if (!cut) return { fields, cut, mail: raw.subarray(start) }
  const lines = kept.flatMap((span) => [fieldBytes(raw, span), Buffer.from('\r\n')])
  return { fields, cut, mail: Buffer.concat([...lines, Buffer.from('\r\n'), raw.subarray(bodyStart)]) }
}

/** How much of a part that consists of fields is read. */
const MAX_GROUP_BYTES = 64 * 1024
const MAX_GROUPS = 200

/** Fields that stand alone in a part, such as a delivery status: groups of them, with empty lines between. Bounded. */
export function readFields(bytes: Buffer): HeaderField[][] {
  const raw = bytes.subarray(0, MAX_GROUP_BYTES)
  const groups: HeaderField[][] = []
  let at = skipPreamble(raw)
  while (at < raw.length && groups.length < MAX_GROUPS) {
    const { spans, bodyStart } = scanFields(raw, at)
    if (spans.length > 0) groups.push(keepWithinLimits(spans).map((span) => readField(raw, span)))
    // A line that is no field begins nothing: it is stepped over.
    at = bodyStart > at ? bodyStart : nextLine(raw, at)
  }
  return groups
}

function nextLine(raw: Buffer, at: number): number {
  const lineFeed = raw.indexOf(LINE_FEED, at)
  return lineFeed === -1 ? raw.length : lineFeed + 1
}

type FieldSpan = { name: string; start: number; colon: number; end: number }

/** Byte order mark, empty lines and the `From ` line of an mbox are no part of the header. */
function skipPreamble(raw: Buffer): number {
  let at = raw.subarray(0, 3).equals(BYTE_ORDER_MARK) ? 3 : 0
  while (raw[at] === LINE_FEED || raw[at] === CARRIAGE_RETURN) at += 1
  if (raw.toString('latin1', at, at + 5) !== 'From ') return at
  const lineEnd = raw.indexOf(LINE_FEED, at)
  return lineEnd === -1 ? raw.length : lineEnd + 1
}

function scanFields(raw: Buffer, start: number): { spans: FieldSpan[]; bodyStart: number; cut: boolean } {
  const spans: FieldSpan[] = []
  let at = start
  while (at < raw.length) {
    if (at - start > MAX_SCANNED_BYTES) return { spans, bodyStart: findBody(raw, at), cut: true }
    const lineFeed = raw.indexOf(LINE_FEED, at)
    const next = lineFeed === -1 ? raw.length : lineFeed + 1
    const end = trimLineEnd(raw, at, next)
    if (end === at) return { spans, bodyStart: next, cut: false }
    const last = spans.at(-1)
    if (BLANKS.has(raw[at] as number)) {
      if (last) last.end = end
    } else {
      const name = fieldName(raw, at, end)
      // The first line of a mail is a field; a later line that is none is noise of some relay, left out.
      if (name) spans.push({ name: name.toLowerCase(), start: at, colon: at + name.length, end })
      else if (!last) return { spans, bodyStart: at, cut: false }
    }
    at = next
  }
  return { spans, bodyStart: raw.length, cut: false }
}

function trimLineEnd(raw: Buffer, start: number, next: number): number {
  let end = next
  if (end > start && raw[end - 1] === LINE_FEED) end -= 1
  if (end > start && raw[end - 1] === CARRIAGE_RETURN) end -= 1
  return end
}

function fieldName(raw: Buffer, start: number, end: number): string | null {
  return /^([!-9;-~]{1,100})[ \t]*:/.exec(raw.toString('latin1', start, Math.min(end, start + 128)))?.[1] ?? null
}

function findBody(raw: Buffer, from: number): number {
  const ends = [raw.indexOf('\n\n', from), raw.indexOf('\n\r\n', from)].filter((at) => at !== -1)
  if (ends.length === 0) return raw.length
  const at = Math.min(...ends)
  return raw.indexOf(LINE_FEED, at + 1) + 1
}

function keepWithinLimits(spans: FieldSpan[]): FieldSpan[] {
  const essentials = new Map<string, number>()
  let bytes = 0
  let others = 0
  return spans.filter(({ name, start, end }) => {
    const size = Math.min(end - start, MAX_FIELD_BYTES)
    const seen = essentials.get(name) ?? 0
    const essential = ESSENTIAL.has(name) && seen < MAX_OF_AN_ESSENTIAL
    if (!essential && (others >= MAX_FIELDS || bytes + size > MAX_BYTES)) return false
    if (essential) essentials.set(name, seen + 1)
    else others += 1
    bytes += size
    return true
  })
}

function fieldBytes(raw: Buffer, { start, end }: FieldSpan): Buffer {
  return raw.subarray(start, Math.min(end, start + MAX_FIELD_BYTES))
}

function readField(raw: Buffer, span: FieldSpan): HeaderField {
  const bytes = fieldBytes(raw, span)
  const text = decodeHeaderBytes(bytes).slice(span.colon - span.start)
  const value = text
    .replace(/^[ \t]*:/, '')
    .replace(/\r?\n(?=[ \t])/g, '')
    .trim()
  return { name: span.name, value }
}

const windows1252 = new TextDecoder('windows-1252')

/** Headers should be ASCII; what is not is UTF-8 today and was mostly windows-1252 before. */
function decodeHeaderBytes(bytes: Buffer): string {
  return isUtf8(bytes) ? bytes.toString('utf8') : windows1252.decode(bytes)
}
