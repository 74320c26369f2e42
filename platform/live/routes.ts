import type { ServerResponse } from 'node:http'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { CALLER_HEADER, type Caller, type CallerKeys, requireService, verifyCaller } from '#platform/caller/caller.ts'
import type { Tier } from '#platform/contracts/tiers.ts'
import { AppError } from '#platform/errors.ts'
import { type EventsPage, type FindIds, readEvents } from './events.ts'
import type { Hint, Hints } from './hints.ts'

/** Where the gateway hears of changes, and reads what has come up. Not for clients: both want a signed caller. */
export const HINTS_PATH = '/live/hints'
export const EVENTS_PATH = '/live/events/'

/** An empty line, so that both sides notice when the other has gone. */
const HEARTBEAT_MS = 10_000
/** A gateway that does not read is cut off at so many bytes: it connects anew, and looks at everything then. */
const MOST_UNREAD = 1024 * 1024

/** What comes up one by one, by name: whatever a caller may see of it. Throws AppError FORBIDDEN. */
export type EventSources = Readonly<Record<string, (caller: Caller) => ReadEvents>>
/** Runs `readEvents` in the right scope. */
type ReadEvents = (read: (find: FindIds) => Promise<EventsPage>) => Promise<EventsPage>

export type LiveOptions = { tier: Tier; callerKeys: CallerKeys; hints: Hints; sources?: EventSources }

/** Lets the gateway hear of this tier's changes (a line of JSON each), and read what has come up since a position. */
export function addLiveRoutes(app: FastifyInstance, { tier, callerKeys, hints, sources = {} }: LiveOptions): void {
  const open = new Set<() => void>()
  const callerOf = ({ headers }: FastifyRequest) => {
    const header = headers[CALLER_HEADER]
    return verifyCaller(typeof header === 'string' ? header : undefined, callerKeys, tier)
  }
  // Streams never end by themselves: a server that closes would wait for them.
  app.addHook('preClose', async () => {
    for (const end of open) end()
  })
  app.get(HINTS_PATH, async (request, reply) => {
    requireService(callerOf(request), 'gateway')
    reply.hijack()
    const end = sendHints(reply.raw, hints)
    open.add(end)
    reply.raw.on('close', () => open.delete(end))
  })
  app.get<{ Params: { source: string }; Querystring: { after?: string } }>(`${EVENTS_PATH}:source`, async (request) => {
    const caller = callerOf(request)
    const source = Object.hasOwn(sources, request.params.source) ? sources[request.params.source] : undefined
    if (!source) throw new AppError('NOT_FOUND', 'there is nothing here')
    return source(caller)((find) => readEvents(find, request.query.after ?? null))
  })
}

function sendHints(response: ServerResponse, hints: Hints): () => void {
  response.writeHead(200, { 'content-type': 'application/x-ndjson', connection: 'close' })
  const write = (line: string) => {
    if (response.writableLength > MOST_UNREAD) response.destroy()
    else response.write(`${line}\n`)
  }
  write('')
  const endListening = hints.listen((hint: Hint) => write(JSON.stringify(hint)))
  const heartbeat = setInterval(write, HEARTBEAT_MS, '')
  response.on('close', () => {
    endListening()
    clearInterval(heartbeat)
  })
  return () => response.end()
}
