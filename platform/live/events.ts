import {
  advance,
  LATE_MS,
  lowestIdAt,
  MAX_TOLD,
  type Position,
  readPosition,
  settle,
  timeOfId,
  writePosition,
} from './position.ts'

/** Ids of what the subscriber may see, above an id (not with it), in their order or the other way round. */
export type FindIds = (above: string, options: { limit: number; newestFirst: boolean }) => Promise<string[]>

/** What has come up since a position. */
export type EventsPage = {
  /** In the order of their ids, each with the position after it. */
  events: { id: string; position: string }[]
  /** After all of them. */
  position: string
  /** Whether there is more already. */
  hasMore: boolean
  /** What came up since is not told any more: it was too long ago. The position is now. */
  isTooOld: boolean
}

const PAGE = 100
/** How long ago a position may be that is gone on from. */
export const RESUME_MS = 24 * 60 * 60 * 1000

/**
 * What has come up since a position; from now on without one. Each thing is told once, whatever the order in which they
 * were committed, as long as that was within half a minute of the making of its id (see position.ts).
 * @param after what `writePosition` wrote
 * @throws AppError INVALID_INPUT for a position that is none
 */
export async function readEvents(find: FindIds, after: string | null, now = Date.now()): Promise<EventsPage> {
  const position = after === null ? null : readPosition(after)
  const isTooOld = position !== null && timeOfId(position.floor) < now - RESUME_MS
  if (position === null || isTooOld) {
    const here = writePosition(await positionNow(find, now))
    return { events: [], position: here, hasMore: false, isTooOld }
  }
  const limit = PAGE + position.told.length
  const seen = await find(position.floor, { limit, newestFirst: false })
  const known = new Set(position.told)
  const fresh = seen.filter((id) => !known.has(id)).slice(0, PAGE)
  const events: EventsPage['events'] = []
  let reached = position
  for (const id of fresh) {
    reached = advance(reached, id, now)
    events.push({ id, position: writePosition(reached) })
  }
  const hasMore = seen.length === limit
  return { events, position: writePosition(hasMore ? reached : settle(reached, now)), hasMore, isTooOld: false }
}

/** Everything that can be seen has been told. */
async function positionNow(find: FindIds, now: number): Promise<Position> {
  const floor = lowestIdAt(now - LATE_MS)
  const newest = await find(floor, { limit: MAX_TOLD + 1, newestFirst: true })
  const oldest = newest.length > MAX_TOLD ? newest.pop() : undefined
  return { floor: oldest ?? floor, told: newest.reverse() }
}
