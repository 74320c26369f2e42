import { FileFault } from './fileFault.ts'

/** Encodings that lists come in. */
export type Encoding = 'utf-8' | 'utf-16le' | 'utf-16be' | 'windows-1252'

const SAMPLE = 1_000
/** Of the Latin text of a UTF-16 file nearly every other byte is 0; of other texts none is. */
const MANY = 0.2

/** What the first bytes of a file say: its mark, or zeros where UTF-16 has them; UTF-8 unless they say otherwise. */
export function guessEncoding(head: Buffer): Encoding {
  if (head[0] === 0xff && head[1] === 0xfe) return 'utf-16le'
  if (head[0] === 0xfe && head[1] === 0xff) return 'utf-16be'
  const sample = head.subarray(0, SAMPLE)
  let [even, odd] = [0, 0]
  for (const [index, byte] of sample.entries()) {
    if (byte === 0 && index % 2 === 0) even += 1
    else if (byte === 0) odd += 1
  }
  if (odd > even && odd > sample.length * MANY) return 'utf-16le'
  return even > odd && even > sample.length * MANY ? 'utf-16be' : 'utf-8'
}

/**
 * A file's text as it comes, without its mark.
 * @throws FileFault INVALID_ENCODING at the first bytes that are none of this encoding
 */
export async function* decodeText(source: AsyncIterable<Buffer>, encoding: Encoding): AsyncGenerator<string> {
  // Decoders take any byte for Windows-1252, so that is looked at here.
  const decoder = new TextDecoder(encoding, { fatal: true })
  const decode = (bytes: Buffer | undefined) => {
    try {
      return decoder.decode(bytes, { stream: bytes !== undefined })
    } catch {
      throw new FileFault('INVALID_ENCODING', `the file is not ${encoding.toUpperCase()} throughout: save it as UTF-8`)
    }
  }
  for await (const bytes of source) {
    if (encoding === 'windows-1252' && !bytes.every(isText1252)) {
      throw new FileFault('INVALID_ENCODING', 'the file is neither UTF-8, UTF-16 nor Windows-1252: save it as UTF-8')
    }
    yield decode(bytes)
  }
  yield decode(undefined)
}

const UNDEFINED_1252 = new Set([0x81, 0x8d, 0x8f, 0x90, 0x9d])
const FIRST_PRINTABLE = 0x20
const TAB_AND_LINE_ENDS = new Set([0x09, 0x0a, 0x0d])

function isText1252(byte: number): boolean {
  return byte >= FIRST_PRINTABLE ? !UNDEFINED_1252.has(byte) : TAB_AND_LINE_ENDS.has(byte)
}
