import { isAscii, isUtf8 } from 'node:buffer'
import { Transform, type TransformCallback } from 'node:stream'

/** Where mailparser decides how a text part becomes characters. */
export type MimeDecoding = {
  createNode: (part: MimePart) => unknown
  decoder: { decodeStream: (charset: string) => NodeJS.ReadWriteStream }
}
type MimePart = { contentType: string | false; charset: string | false; encoding: string | false }

const UNDECLARED = /^(us-?ascii|ascii|unknown-8bit|8bit|x-unknown|default(_charset)?)$/i
const GUESSED = 'x-guessed'

/**
 * Has texts that name no charset, or one that nobody knows, read as UTF-8 where they are that, else as windows-1252, as
 * browsers do. A guess is told in `problems`: it may be wrong.
 */
export function watchCharsets(inner: MimeDecoding, mail: Buffer, problems: Set<string>) {
  const plain = isAscii(mail)
  const createNode = inner.createNode.bind(inner)
  inner.createNode = (part) => {
    const encoded = part.encoding === 'quoted-printable' || part.encoding === 'base64'
    if ((!part.charset || UNDECLARED.test(part.charset)) && (encoded || !plain)) part.charset = GUESSED
    return createNode(part)
  }
  const { decodeStream } = inner.decoder
  inner.decoder.decodeStream = (charset) => {
    if (charset === GUESSED) return new GuessingDecoder(problems)
    try {
      return decodeStream(charset)
    } catch {
      problems.add('unknown_charset')
      return new GuessingDecoder(problems)
    }
  }
}

/** Which it is can only be told from the whole text. */
class GuessingDecoder extends Transform {
  readonly #chunks: Buffer[] = []
  readonly #problems: Set<string>

  constructor(problems: Set<string>) {
    super()
    this.#problems = problems
  }

  override _transform(chunk: Buffer, _encoding: string, done: TransformCallback) {
    this.#chunks.push(chunk)
    done()
  }

  override _flush(done: TransformCallback) {
    const bytes = Buffer.concat(this.#chunks)
    if (isUtf8(bytes)) return done(null, bytes)
    this.#problems.add('undeclared_charset')
    done(null, Buffer.from(new TextDecoder('windows-1252').decode(bytes)))
  }
}
