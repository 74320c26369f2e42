import type { ServerResponse } from 'node:http'

/** A client that takes nothing for so long is hung up on, so that nothing is kept for it. */
export type EventStreamOptions = { stallMs: number }

/**
 * A response of server-sent events. It goes at the client's pace: whoever makes events asks `ready` before, so that there
 * is never more than one that waits.
 */
export class EventStream {
  readonly #response: ServerResponse
  readonly #stallMs: number
  #isEnded = false
  /** What was noted before it was open. */
  #noted: string | undefined

  constructor(response: ServerResponse, { stallMs }: EventStreamOptions) {
    this.#response = response
    this.#stallMs = stallMs
  }

  open(status: number, headers: Record<string, string>): void {
    this.#response.writeHead(status, headers)
    if (this.#noted !== undefined) this.write('\n', this.#noted)
  }

  /** A piece of the stream; with an id, the client's next position. */
  write(text: string, id?: string): void {
    if (this.#isEnded || this.#response.destroyed) return
    this.#response.write(id === undefined ? text : `id: ${id}\n${text}`)
  }

  /** A position without an event. */
  note(id: string): void {
    if (!this.#response.headersSent) this.#noted = id
    else if (!this.#response.writableNeedDrain) this.write('\n', id)
  }

  /** Waits until what was written is on its way. Hangs up on a client that has stalled. */
  readonly ready = async (): Promise<void> => {
    const response = this.#response
    if (this.#isEnded || response.destroyed || !response.writableNeedDrain) return
    await new Promise<void>((resolve) => {
      const stalled = setTimeout(() => response.destroy(), this.#stallMs)
      const done = () => {
        clearTimeout(stalled)
        response.off('drain', done).off('close', done)
        resolve()
      }
      response.on('drain', done).on('close', done)
    })
  }

  /** Ends it. A client that was not told `complete` before will connect again. What is not open yet is not opened. */
  end(): void {
    this.#isEnded = true
    if (this.#response.headersSent) this.#response.end()
  }
}
