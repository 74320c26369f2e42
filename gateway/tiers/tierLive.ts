import { Pool } from 'undici'
import { CALLER_HEADER, signCaller } from '#platform/caller/caller.ts'
import type { ServiceEdge } from '#platform/caller/edges.ts'
import { AppError, isErrorCode } from '#platform/errors.ts'
import type { EventsPage } from '#platform/live/events.ts'
import { EVENTS_PATH, HINTS_PATH } from '#platform/live/routes.ts'
import type { GatewayContext } from './context.ts'
import { callerHeader } from './tierClient.ts'

/** A tier says something every ten seconds: one that is silent for longer has gone. */
const SILENCE_MS = 25_000
const CONNECTIONS = 64

/** The part of a tier that tells what has changed. */
export class TierLive {
  readonly #edge: ServiceEdge
  readonly #timeoutMs: number
  readonly #pool: Pool

  constructor(edge: ServiceEdge, { timeoutMs }: { timeoutMs: number }) {
    this.#edge = edge
    this.#timeoutMs = timeoutMs
    this.#pool = new Pool(new URL(edge.url).origin, { connections: CONNECTIONS, connect: { timeout: timeoutMs } })
  }

  /** The tier's hints as they come: lines of JSON, and empty ones. Ends or throws when the tier has gone. */
  async *hints(requestId: string, signal: AbortSignal): AsyncGenerator<string> {
    const caller = { kind: 'service', tenantId: null, userId: null, roles: [], requestId } as const
    const { statusCode, body } = await this.#pool.request({
      path: this.#path(HINTS_PATH),
      method: 'GET',
      headers: { [CALLER_HEADER]: signCaller(caller, this.#edge) },
      headersTimeout: this.#timeoutMs,
      bodyTimeout: SILENCE_MS,
      signal,
    })
    if (statusCode !== 200) throw new Error(`answered ${statusCode}: ${await body.text()}`)
    let rest = ''
    for await (const chunk of body.setEncoding('utf8')) {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop() ?? ''
      yield* lines
    }
  }

  /**
   * What has come up since a position, of what the caller may see.
   * @throws AppError as the tier says it, or UNAVAILABLE
   */
  async findEvents(source: string, after: string | null, context: GatewayContext): Promise<EventsPage> {
    const query = after === null ? '' : `?after=${encodeURIComponent(after)}`
    const answer = await this.#ask(`${EVENTS_PATH}${source}${query}`, context)
    if (answer.status === 200) return JSON.parse(answer.text) as EventsPage
    throw this.#refusal(answer, context)
  }

  close(): Promise<void> {
    return this.#pool.destroy()
  }

  #path(path: string): string {
    return new URL(path.slice(1), this.#edge.url).pathname + new URL(path.slice(1), this.#edge.url).search
  }

  async #ask(path: string, context: GatewayContext): Promise<{ status: number; text: string }> {
    try {
      const { statusCode, body } = await this.#pool.request({
        path: this.#path(path),
        method: 'GET',
        headers: { [CALLER_HEADER]: callerHeader(context, this.#edge) },
        headersTimeout: this.#timeoutMs,
        bodyTimeout: this.#timeoutMs,
      })
      return { status: statusCode, text: await body.text() }
    } catch (cause) {
      const tier = this.#edge.to
      throw new AppError('UNAVAILABLE', `the ${tier} tier does not answer`, { cause, extensions: { tier } })
    }
  }

  /** A caller who is refused at this edge is our fault, not the client's. */
  #refusal({ status, text }: { status: number; text: string }, { log }: GatewayContext): AppError {
    const tier = this.#edge.to
    const { code, message } = readError(text)
    if (status !== 401 && isErrorCode(code)) return new AppError(code, message, { extensions: { tier } })
    log.error({ tier, status }, 'a tier refused to tell what has come up')
    return new AppError('INTERNAL', 'internal error', { extensions: { tier } })
  }
}

function readError(text: string): { code: unknown; message: string } {
  try {
    const { errors } = JSON.parse(text)
    return { code: errors[0].extensions.code, message: String(errors[0].message) }
  } catch {
    return { code: undefined, message: '' }
  }
}
