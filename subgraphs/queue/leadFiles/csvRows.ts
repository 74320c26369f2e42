import { pipeline, Readable } from 'node:stream'
import { CsvError, parse } from 'csv-parse'
import { FileFault } from './fileFault.ts'

export type Delimiter = ',' | ';' | '\t' | '|'

const DELIMITERS: readonly Delimiter[] = [',', ';', '\t', '|']

/** Characters of one row. */
const LONGEST_ROW = 1_000_000
const LONGEST_HEADER = 256 * 1024

/** The sign that stands most often between the header's quotes; a comma if none does. */
export function guessDelimiter(header: string): Delimiter {
  const plain = header.replace(/"(?:[^"]|"")*"/g, '')
  const counts = DELIMITERS.map((delimiter) => plain.split(delimiter).length)
  return DELIMITERS[counts.indexOf(Math.max(...counts))] as Delimiter
}

/** The beginning of a text as far as its first line goes, and the whole text again. */
export async function peekHeader(
  text: AsyncGenerator<string>,
): Promise<{ header: string; text: AsyncIterable<string> }> {
  let head = ''
  let end = -1
  while (end < 0 && head.length < LONGEST_HEADER) {
    const { value, done } = await text.next()
    if (done) break
    head += value
    end = firstLineEnd(head)
  }
  async function* whole() {
    yield head
    yield* text
  }
  return { header: end < 0 ? head : head.slice(0, end), text: whole() }
}

/** Where the first line that isn't blank ends, outside quotes; -1 while it goes on. */
function firstLineEnd(text: string): number {
  let isQuoted = false
  let isBlank = true
  for (let index = 0; index < text.length; index++) {
    const sign = text[index]
    if (sign === '"') isQuoted = !isQuoted
    if (!isQuoted && (sign === '\n' || sign === '\r')) {
      if (!isBlank) return index
    } else if (sign !== ' ') isBlank = false
  }
  return -1
}

/**
 * The rows of a text, cells as they stand, blank rows too; the whole is never held.
 * @throws FileFault BROKEN_QUOTE, ROW_TOO_LARGE; whatever the source throws
 */
export async function* readRows(text: AsyncIterable<string>, delimiter: Delimiter): AsyncGenerator<string[]> {
  const parser = parse({
    delimiter,
    record_delimiter: ['\r\n', '\n', '\r'],
    relax_column_count: true,
    max_record_size: LONGEST_ROW,
  })
  pipeline(Readable.from(text), parser, () => {})
  try {
    for await (const row of parser) yield row as string[]
  } catch (error) {
    throw error instanceof CsvError ? describe(error) : error
  }
}

function describe(error: CsvError): FileFault {
  const line = typeof error.lines === 'number' ? ` near line ${error.lines}` : ''
  if (error.code === 'CSV_MAX_RECORD_SIZE') {
    return new FileFault('ROW_TOO_LARGE', `a row of more than ${LONGEST_ROW} characters${line}: is a quote left open?`)
  }
  return new FileFault('BROKEN_QUOTE', `a quote that does not end, or stands where none may${line}`)
}
