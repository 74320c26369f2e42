import { isUtf8 } from 'node:buffer'
import { type AttachmentStream, MailParser, type MessageText } from 'mailparser'

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
const MAX_LINES = 1_000_000
const MAX_READING_MS = 20_000
const CHUNK_BYTES = 1024 * 1024
const LINE_FEED = 0x0a

/** Parts of mailparser 3.9.0 (an exact version) that its types don't show. */
type Internals = {
  createNode: (part: MimePart) => unknown
  getTextContent: () => MessageText
  decoder: { decodeStream: (charset: string) => NodeJS.ReadWriteStream }
  libmime: { decodeWords: (value: string) => string }
  tree: { contentType?: string | false; children: unknown[] } | false
}
type MimePart = { contentType: string | false; charset: string | false }

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
  const charsets = watchCharsets(inner, mail, problems)
  const { text, files } = await collect(parser, withinLineLimit(mail, problems), problems)
  const content = text ?? rescueText(inner)
  const reading = {
    text: content?.text || null,
    html: typeof content?.html === 'string' && content.html !== '' ? content.html : null,
    files,
    problems,
    decodeWords: (value: string) => inner.libmime.decodeWords(value),
  }
  charsets.check(reading)
  if (isEmptyMultipart(inner)) problems.add('multipart_without_parts')
  return reading
}

/** Feeds the parser piece by piece, so that it can be left when it takes too long. */
async function collect(parser: MailParser, mail: Buffer, problems: Set<string>) {
  const files: MimeFile[] = []
  let text: MessageText | null = null
  await new Promise<void>((resolve) => {
    const fail = (problem: string) => {
      problems.add(problem)
      clearTimeout(timer)
      resolve()
    }
    const timer = setTimeout(() => {
      fail('took_too_long')
      parser.destroy()
    }, MAX_READING_MS)
    parser.on('error', () => fail('mime_broken'))
    parser.on('end', () => {
      clearTimeout(timer)
      resolve()
    })
    parser.on('data', (data: AttachmentStream | MessageText) => {
      if (data.type === 'text') text = data
      else readFile(data, (file) => files.push(file))
    })
    feed(parser, mail)
  })
  return { text: text as MessageText | null, files }
}

function feed(parser: MailParser, mail: Buffer, from = 0) {
  if (parser.destroyed) return
  const to = from + CHUNK_BYTES
  if (to >= mail.length) parser.end(mail.subarray(from))
  else parser.write(mail.subarray(from, to), (error) => error ?? feed(parser, mail, to))
}

function readFile(part: AttachmentStream, done: (file: MimeFile) => void) {
  const chunks: Buffer[] = []
  part.content.on('data', (chunk: Buffer) => chunks.push(chunk))
  part.content.on('end', () => {
    done({
      bytes: Buffer.concat(chunks),
      filename: part.filename || null,
      declaredMimeType: part.contentType || null,
      disposition: part.contentDisposition === 'inline' ? 'inline' : 'attachment',
      contentId: part.cid || null,
    })
    part.release()
  })
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

/**
 * A text without a charset whose bytes are not UTF-8 is read as windows-1252, as browsers do; so is one in a charset
 * nobody knows. Both are told: they are guesses.
 */
function watchCharsets(inner: Internals, mail: Buffer, problems: Set<string>) {
  const guess = isUtf8(mail) ? null : 'windows-1252'
  let guessed = false
  const createNode = inner.createNode.bind(inner)
  inner.createNode = (part) => {
    const undeclared = !part.charset || /^(us-?ascii|ascii|unknown-8bit|8bit|x-unknown)$/i.test(part.charset)
    if (guess && undeclared && String(part.contentType || 'text/plain').startsWith('text/')) {
      part.charset = guess
      guessed = true
    }
    return createNode(part)
  }
  const decodeStream = inner.decoder.decodeStream
  inner.decoder.decodeStream = (charset) => {
    try {
      return decodeStream(charset)
    } catch (error) {
      problems.add('unknown_charset')
      if (guess) return decodeStream(guess)
      throw error
    }
  }
  return {
    check({ text, html }: { text: string | null; html: string | null }) {
      const all = [text, html].filter((part) => part !== null)
      // biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII is meant
      if (guessed && all.some((part) => /[^\x00-\x7f]/.test(part))) problems.add('undeclared_charset')
      if (all.some((part) => part.includes('\ufffd'))) problems.add('undecodable_text')
      if (all.some((part) => part.includes('\0'))) problems.add('null_bytes')
    },
  }
}

/** The texts read before the parser gave up. */
function rescueText(inner: Internals): MessageText | null {
  try {
    return inner.getTextContent()
  } catch {
    return null
  }
}

function isEmptyMultipart({ tree }: Internals): boolean {
  return tree !== false && String(tree.contentType).startsWith('multipart/') && tree.children.length === 0
}
