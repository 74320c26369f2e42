import { type Delimiter, guessDelimiter, peekHeader, readRows } from './csvRows.ts'
import { decodeText, type Encoding, guessEncoding } from './encodings.ts'
import { FileFault } from './fileFault.ts'

/** How a file is to be read, and what it holds. */
export type FileShape = {
  encoding: Encoding
  delimiter: Delimiter
  header: string[]
  /** After the header, blank ones too. */
  rowCount: number
  totalBytes: number
}

/** Reads the file from its beginning. */
export type Source = () => AsyncIterable<Buffer>

const MOST_ROWS = 1_000_000

/**
 * Reads a file through once, before anything of it is used: what can't be read to its end changes nothing.
 * @throws FileFault; AppError UNAVAILABLE
 */
export async function checkFile(source: Source, signal: AbortSignal): Promise<FileShape> {
  const guessed = await guessByHead(source)
  try {
    return await measure(source, guessed, signal)
  } catch (error) {
    const isOther = error instanceof FileFault && error.code === 'INVALID_ENCODING' && guessed === 'utf-8'
    if (!isOther) throw error
    return await measure(source, 'windows-1252', signal)
  }
}

/** The rows of a file after its header, in the shape that was found. */
export async function* openRows(source: AsyncIterable<Buffer>, shape: FileShape): AsyncGenerator<string[]> {
  let isHeader = true
  for await (const row of readRows(decodeText(source, shape.encoding), shape.delimiter)) {
    // Blank lines before the header are none of its rows.
    if (isHeader) isHeader = isBlank(row)
    else yield row
  }
}

/** Whether a row has nothing in it. */
export function isBlank(row: readonly string[]): boolean {
  return row.every((cell) => cell.trim() === '')
}

async function guessByHead(source: Source): Promise<Encoding> {
  for await (const head of source()) return guessEncoding(head)
  throw new FileFault('EMPTY_FILE', 'the file is empty')
}

async function measure(source: Source, encoding: Encoding, signal: AbortSignal): Promise<FileShape> {
  let totalBytes = 0
  async function* counted() {
    for await (const bytes of source()) {
      signal.throwIfAborted()
      totalBytes += bytes.length
      yield bytes
    }
  }
  const { header: line, text } = await peekHeader(decodeText(counted(), encoding))
  const delimiter = guessDelimiter(line)
  let header: string[] | undefined
  let rowCount = 0
  for await (const row of readRows(text, delimiter)) {
    if (header) rowCount += 1
    else if (!isBlank(row)) header = row
    if (rowCount > MOST_ROWS) throw new FileFault('TOO_MANY_ROWS', `the file has more than ${MOST_ROWS} rows`)
  }
  if (!header) throw new FileFault('EMPTY_FILE', 'the file is empty')
  return { encoding, delimiter, header, rowCount, totalBytes }
}
