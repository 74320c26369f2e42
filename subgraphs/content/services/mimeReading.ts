import { type AttachmentStream, MailParser, type MessageText } from 'mailparser'
import { type MimeDecoding, watchCharsets } from './mailCharsets.ts'

/** A part of a mail that is a file. */
export type MimeFile = {
  bytes: Buffer
  filename: string | null
  declaredMimeType: string | null
  disposition: 'inline' | 'attachment'
  contentId: string | null
}

export type MimeReading = {
  text: string | null
  html: string | null
  files: MimeFile[]
  /** What kept it from being read wholly; see `PARSE_PROBLEMS` of mailParsing.ts. */
  problems: Set<string>
  decodeWords: (value: string) => string
}

/** Limits within which a hostile mail cannot hold the process: it is read as far as they allow. */
const MAX_PARTS = 1000
const MAX_PART_HEADER_BYTES = 256 * 1024
const MAX_LINES = 500_000
const MAX_READING_MS = 20_000
const CHUNK_BYTES = 1024 * 1024
const LINE_FEED = 0x0a

/** Parts of mailparser 3.9.0 (an exact version) that its types don't show. */
type Internals = MimeDecoding & {
  libmime: { decodeWords: (value: string) => string }
  tree: MimeNode | false
}
type MimeNode = { contentType?: string | false; textContent?: string; children: MimeNode[] }

/**
 * Reads the parts of a mail. Never rejects: what cannot be read is named in `problems`, the rest is there.
 * HTML is neither turned into text nor text into HTML: that is where a MIME parser burns its time.
 */
export async function readMime(mail: Buffer): Promise<MimeReading> {
  const parser = new MailParser({
    skipHtmlToText: true,
    skipTextToHtml: true,
    skipTextLinks: true,
    skipImageLinks: true,
    // Delivery reports and embedded mails are files to us; what they say is read from their bytes.
    keepDeliveryStatus: true,
    ignoreEmbedded: true,
    maxChildNodes: MAX_PARTS,
    maxHeadSize: MAX_PART_HEADER_BYTES,
  } as ConstructorParameters<typeof MailParser>[0])
  const inner = parser as unknown as Internals
  const problems = new Set<string>()
  watchCharsets(inner, mail, problems)
  const files = await collectFiles(parser, withinLineLimit(mail, problems), problems)
  const reading = {
    text: joinTexts(inner, 'text/plain', '\n'),
    html: joinTexts(inner, 'text/html', '<br/>\n'),
    files,
    problems,
    decodeWords: (value: string) => inner.libmime.decodeWords(value),
  }
  noteReplacements(reading)
  if (isEmptyMultipart(inner)) problems.add('multipart_without_parts')
  return reading
}

/** Runs the parser, piece by piece, so that it can be left when it takes too long; answers the files it has met. */
async function collectFiles(parser: MailParser, mail: Buffer, problems: Set<string>): Promise<MimeFile[]> {
  const files: MimeFile[] = []
  let timer: NodeJS.Timeout | undefined
  await new Promise<void>((resolve) => {
    const leave = (problem: string) => {
      problems.add(problem)
      parser.destroy()
      resolve()
    }
    timer = setTimeout(() => leave('took_too_long'), MAX_READING_MS)
    parser.on('error', () => leave('mime_broken'))
    parser.on('end', resolve)
    parser.on('data', (data: AttachmentStream | MessageText) => {
      if (data.type === 'attachment') readFile(data, (file) => files.push(file))
    })
    feed(parser, mail)
  })
  clearTimeout(timer)
  return files
}

function feed(parser: MailParser, mail: Buffer, from = 0) {
  if (parser.destroyed) return
  const to = from + CHUNK_BYTES
  if (to >= mail.length) parser.end(mail.subarray(from))
  else parser.write(mail.subarray(from, to), () => feed(parser, mail, to))
}

function readFile(part: AttachmentStream, done: (file: MimeFile) => void) {
  const chunks: Buffer[] = []
  const end = () => {
    done({
      bytes: Buffer.concat(chunks),
      filename: part.filename || null,
      declaredMimeType: part.contentType || null,
      disposition: part.contentDisposition === 'inline' ? 'inline' : 'attachment',
      contentId: part.cid || null,
    })
    part.release()
  }
  part.content.on('data', (chunk: Buffer) => chunks.push(chunk))
  part.content.once('end', end)
  // Bytes that cannot be decoded end the file there.
  part.content.once('error', end)
}

/** Every line costs the parser a turn of the event loop: 25 MB of empty lines would take minutes. */
function withinLineLimit(mail: Buffer, problems: Set<string>): Buffer {
  let lines = 0
  for (let at = mail.indexOf(LINE_FEED); at !== -1; at = mail.indexOf(LINE_FEED, at + 1)) {
    lines += 1
    if (lines < MAX_LINES) continue
    problems.add('too_many_lines')
    return mail.subarray(0, at + 1)
  }
  return mail
}

/** The mail's texts of one type, as far as they were read. Not the parser's own: it mixes both types into each. */
function joinTexts({ tree }: Internals, type: string, separator: string): string | null {
  const texts: string[] = []
  const waiting = tree === false ? [] : [tree]
  for (let node = waiting.pop(); node; node = waiting.pop()) {
    // A mail without a type is plain text.
    if ((node.contentType || 'text/plain') === type && node.textContent) texts.push(node.textContent)
    waiting.push(...node.children.toReversed())
  }
  return texts.join(separator) || null
}

function noteReplacements({ text, html, problems }: MimeReading) {
  for (const part of [text, html]) {
    if (part?.includes('\ufffd')) problems.add('undecodable_text')
    if (part?.includes('\0')) problems.add('null_bytes')
  }
}

function isEmptyMultipart({ tree }: Internals): boolean {
  return tree !== false && String(tree.contentType).startsWith('multipart/') && tree.children.length === 0
}
