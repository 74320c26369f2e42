import { Readable } from 'node:stream'

/** The text of a mail that nobody reads before its accept window is open. */
export type GuardedText = {
  stream: Readable
  /** Whether the other server was ready for it. */
  wasAsked(): boolean
  /** Whether the other server may have got any of it. */
  wasGiven(): boolean
  /** Whether the window was asked for and not opened: then nothing was given. */
  wasRefused(): boolean
}

/**
 * A text whose first read, which comes when the other server is ready for it (354), asks for the accept window. When it is
 * not opened the stream breaks off, and with it the connection, before the first byte.
 */
export function guardText(raw: Buffer, open: () => Promise<boolean>): GuardedText {
  let isAsked = false
  let isGiven = false
  let isRefused = false
  const stream = new Readable({
    read() {
      if (isAsked) return
      isAsked = true
      void open()
        .catch((error: Error) => error)
        .then((answer) => {
          if (answer !== true) isRefused = true
          if (stream.destroyed) return
          if (answer !== true) return void stream.destroy(answer || new Error('the mail is not to leave any more'))
          isGiven = true
          stream.push(raw)
          stream.push(null)
        })
    },
  })
  // Whoever pipes it hears of its end; nobody else has to.
  stream.on('error', () => {})
  return { stream, wasAsked: () => isAsked, wasGiven: () => isGiven, wasRefused: () => isRefused }
}
