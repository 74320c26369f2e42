import type { TokenSubject } from '#platform/caller/developmentToken.ts'
import { DEMO, type GraphAnswer, type TestPlatform } from './graph.ts'

/** One block of a stream as it came. `data` is the answer of a `next`. */
export type StreamEvent = {
  event: string | undefined
  id: string | undefined
  data: Pick<GraphAnswer, 'data' | 'errors' | 'extensions'> | undefined
}

export type OpenStreamOptions = {
  as?: TokenSubject | { token: string }
  variables?: object
  lastEventId?: string | undefined
  /** Other fields of the body. */
  body?: object
}

/** A subscription that a client of ours has open. */
export class TestStream {
  readonly response: Response
  /** Everything that came so far, comments left out. */
  readonly events: StreamEvent[] = []
  /** What a subscription was refused with. */
  readonly refusal: Pick<GraphAnswer, 'errors'> | undefined
  /** Whether the server has ended it. */
  ended = false
  readonly #reader: ReadableStreamDefaultReader<string>
  #rest = ''

  constructor(response: Response, refusal?: Pick<GraphAnswer, 'errors'>) {
    this.response = response
    this.refusal = refusal
    this.#reader = (response.body as ReadableStream<Uint8Array>)
      .pipeThrough(new TextDecoderStream() as never)
      .getReader() as ReadableStreamDefaultReader<string>
  }

  /** The next answer. @throws Error when the stream ends before, or none comes in time */
  async next(deadlineMs = 20_000): Promise<NonNullable<StreamEvent['data']> & { id: string | undefined }> {
    const { id, data } = await this.until(({ event }) => event === 'next', deadlineMs)
    if (!data) throw new Error('a next without data')
    return { ...data, id }
  }

  /** Reads until something fitting comes. */
  async until(wanted: (event: StreamEvent) => boolean, deadlineMs = 20_000): Promise<StreamEvent> {
    const deadline = Date.now() + deadlineMs
    for (;;) {
      const event = await this.#read(deadline)
      if (event === null) throw new Error(`the stream ended: ${JSON.stringify(this.events)}`)
      if (wanted(event)) return event
    }
  }

  /** Reads to the end. */
  async finish(deadlineMs = 20_000): Promise<StreamEvent[]> {
    while ((await this.#read(Date.now() + deadlineMs)) !== null);
    return this.events
  }

  /** What comes within so many milliseconds, mere positions left out; for what must not come. */
  async within(milliseconds: number): Promise<StreamEvent[]> {
    const before = this.events.length
    await this.finish(milliseconds).catch(() => undefined)
    return this.events.slice(before).filter(({ event }) => event !== undefined)
  }

  async close(): Promise<void> {
    await this.#reader.cancel().catch(() => undefined)
  }

  #reading: ReturnType<ReadableStreamDefaultReader<string>['read']> | undefined

  async #read(deadline: number): Promise<StreamEvent | null> {
    for (;;) {
      const end = this.#rest.indexOf('\n\n')
      if (end >= 0) {
        const block = this.#rest.slice(0, end)
        this.#rest = this.#rest.slice(end + 2)
        const event = parseBlock(block)
        if (!event) continue
        this.events.push(event)
        return event
      }
      // A read that is given up is gone on with later.
      this.#reading ??= this.#reader.read()
      const read = await Promise.race([this.#reading, lateAt(deadline)])
      if (read === null) throw new Error(`nothing came in time: ${JSON.stringify(this.events)}`)
      this.#reading = undefined
      if (read.done) {
        this.ended = true
        return null
      }
      this.#rest += read.value
    }
  }
}

/** Subscribes as a client does. The answer is a refusal unless its status is 200. */
export async function openStream(
  platform: TestPlatform,
  query: string | undefined,
  { as = DEMO, variables = {}, lastEventId, body = {} }: OpenStreamOptions = {},
): Promise<TestStream> {
  const token = 'token' in as ? as.token : await platform.token(as)
  const response = await fetch(`${platform.url}/stream`, {
    method: 'POST',
    headers: {
      accept: 'text/event-stream',
      'content-type': 'application/json',
      authorization: `Bearer ${token}`,
      ...(lastEventId !== undefined && { 'last-event-id': lastEventId }),
    },
    body: JSON.stringify({ query, variables, ...body }),
  })
  // A refusal is one piece of JSON.
  const refusal = response.ok ? undefined : JSON.parse(await response.clone().text())
  return new TestStream(response, refusal)
}

function parseBlock(block: string): StreamEvent | null {
  const fields = new Map(
    block.split('\n').flatMap((line) => {
      const place = line.indexOf(':')
      return place > 0 ? [[line.slice(0, place), line.slice(place + 1).trim()] as const] : []
    }),
  )
  if (fields.size === 0) return null
  const data = fields.get('data')
  return { event: fields.get('event'), id: fields.get('id'), data: data ? JSON.parse(data) : undefined }
}

function lateAt(deadline: number): Promise<null> {
  return new Promise((resolve) => {
    setTimeout(resolve, Math.max(0, deadline - Date.now()), null).unref()
  })
}
