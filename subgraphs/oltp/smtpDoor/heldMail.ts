import type { SMTPServerDataStream } from 'smtp-server'

/** Thrown for mail that there is no room for just now. */
export class NoRoom extends Error {
  constructor() {
    super('the mails under way take all the room there is')
    this.name = 'NoRoom'
  }
}

/** The room that mails take while they are under way; what it is full of is given back by `release`. */
export class MailRoom {
  readonly #limit: number
  #held = 0

  /** @param limit bytes */
  constructor(limit: number) {
    this.#limit = limit
  }

  get held(): number {
    return this.#held
  }

  /**
   * Reads a mail to its end. Of one over the server's size limit, or that there is no room for, the rest is read and
   * forgotten, as the protocol wants it. The caller releases the bytes of the answer.
   * @throws NoRoom; the stream's own error when the sender went away before the end
   */
  async read(stream: SMTPServerDataStream): Promise<Buffer> {
    const chunks: Buffer[] = []
    let bytes = 0
    let full = false
    const forget = () => {
      this.#held -= bytes
      bytes = 0
      chunks.length = 0
    }
    try {
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        // A mail that alone is more than all the room is taken when it is the only one.
        full ||= this.#held > bytes && this.#held + chunk.length > this.#limit
        if (full || stream.sizeExceeded) {
          forget()
          continue
        }
        this.#held += chunk.length
        bytes += chunk.length
        chunks.push(chunk)
      }
    } catch (error) {
      forget()
      throw error
    }
    if (full) throw new NoRoom()
    return Buffer.concat(chunks, bytes)
  }

  release(bytes: number): void {
    this.#held -= bytes
  }
}
