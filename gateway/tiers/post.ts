import { type Dispatcher, errors, type Pool } from 'undici'

/** An answer whose bytes exceed what is taken. */
export class AnswerTooLarge extends Error {}

/** An answer that was not there in time. */
export class AnswerTooLate extends Error {}

export type TierPost = { path: string; headers: Record<string, string>; body: string }
export type TierAnswer = { status: number; text: string }
export type TierLimits = { timeoutMs: number; maxAnswerBytes: number }

/**
 * Posts over a kept-alive connection of a pool. Any status is an answer; `timeoutMs` is for the whole of it.
 * @throws AnswerTooLarge, AnswerTooLate, or what undici says of a connection
 */
export function post(pool: Pool, { path, headers, body }: TierPost, limits: TierLimits): Promise<TierAnswer> {
  return new Promise<TierAnswer>((resolve, reject) => {
    pool.dispatch({ path, method: 'POST', headers, body }, new AnswerReader(limits, resolve, reject))
  })
}

/** Whether the tier can have done nothing yet, or was cut off: a read may be asked again. */
export function isConnectionLost(error: unknown): boolean {
  const { code } = error as { code?: string }
  return error instanceof errors.SocketError || code === 'ECONNRESET' || code === 'EPIPE'
}

/** Puts one answer together. */
class AnswerReader implements Dispatcher.DispatchHandler {
  readonly #limits: TierLimits
  readonly #resolve: (answer: TierAnswer) => void
  readonly #reject: (error: Error) => void
  readonly #deadline: NodeJS.Timeout
  #controller: Dispatcher.DispatchController | undefined
  #status = 0
  #chunks: Buffer[] = []
  #bytes = 0

  constructor(limits: TierLimits, resolve: (answer: TierAnswer) => void, reject: (error: Error) => void) {
    this.#limits = limits
    this.#resolve = resolve
    this.#reject = reject
    this.#deadline = setTimeout(() => this.#abort(new AnswerTooLate('no answer in time')), limits.timeoutMs)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number): void {
    this.#status = status
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bytes += chunk.length
    if (this.#bytes > this.#limits.maxAnswerBytes) this.#abort(new AnswerTooLarge(`more than ${this.#bytes} bytes`))
    else this.#chunks.push(chunk)
  }

  onResponseEnd(): void {
    clearTimeout(this.#deadline)
    const [only] = this.#chunks
    const bytes = only && this.#chunks.length === 1 ? only : Buffer.concat(this.#chunks, this.#bytes)
    this.#resolve({ status: this.#status, text: bytes.toString('utf8') })
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    clearTimeout(this.#deadline)
    this.#reject(error)
  }

  /** Rejects at once: a request that still waits for a connection has nothing to abort. */
  #abort(error: Error): void {
    clearTimeout(this.#deadline)
    this.#chunks = []
    this.#reject(error)
    this.#controller?.abort(error)
  }
}
