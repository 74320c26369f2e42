import { AppError } from '#platform/errors.ts'
import type { EventsPage } from '#platform/live/events.ts'
import { answerEvents, answerState, EVENTS_AT_ONCE, type LiveAnswer, type Subscriber } from './answers.ts'
import type { Bell } from './bell.ts'

/** Whoever hears of no change looks by himself: hints may be lost, and some things change with time alone. */
const LOOK_ANYWAY_MS = 15_000
/** Between two looks at what has come up: a burst of hints is one look. Where none came up, hints were of other things. */
const EVENTS_PAUSE_MS = 200
const NO_EVENTS_PAUSE_MS = 1_000
/** A subscriber without events is told the position that often, so that it does not grow too old to go on from. */
const POSITION_EVERY_MS = 60_000
const SHORTEST_RETRY_MS = 1_000

export type Stream = {
  bell: Bell
  /** Resolves when the client has taken what it was sent: nothing more is made for it before. */
  ready: () => Promise<void>
  /** Tells the client the position, without an event. */
  note: (position: string) => void
}

/** How something is: now, and whenever it has changed; looks lie `pauseMs` apart at least, whatever happens meanwhile. */
export async function* followState(
  subscriber: Subscriber,
  { bell, ready }: Stream,
  pauseMs: number,
): AsyncGenerator<LiveAnswer> {
  let last = ''
  for (;;) {
    const lookedAt = performance.now()
    bell.rearm()
    const answer = await answerState(subscriber)
    const text = JSON.stringify(answer)
    if (text !== last) {
      await ready()
      yield answer
      last = text
    }
    await bell.wait(LOOK_ANYWAY_MS)
    await bell.pause(lookedAt + pauseMs - performance.now())
  }
}

/** What comes up, each once, from the first page on. Events say in `extensions` the position after them. */
export async function* followEvents(
  subscriber: Subscriber,
  { bell, ready, note }: Stream,
  first: EventsPage,
  find: (after: string) => Promise<EventsPage>,
): AsyncGenerator<LiveAnswer> {
  let page = first
  let position = first.position
  let notedAt = Number.NEGATIVE_INFINITY
  let lookedAt = performance.now()
  if (first.isTooOld) yield refetch(first.position)
  for (;;) {
    for (let from = 0; from < page.events.length; from += EVENTS_AT_ONCE) {
      const events = page.events.slice(from, from + EVENTS_AT_ONCE)
      const ids = events.map(({ id }) => id)
      const answers = await insist(bell, () => answerEvents(subscriber, ids))
      for (const [index, answer] of answers.entries()) {
        position = events[index]?.position ?? position
        if (!answer) continue
        await ready()
        yield { ...answer, extensions: { eventId: position } }
        notedAt = performance.now()
      }
    }
    position = page.position
    if (performance.now() - notedAt > POSITION_EVERY_MS) {
      note(position)
      notedAt = performance.now()
    }
    if (!page.hasMore) {
      await bell.wait(LOOK_ANYWAY_MS)
      const pause = page.events.length > 0 ? EVENTS_PAUSE_MS : NO_EVENTS_PAUSE_MS
      await bell.pause(lookedAt + pause - performance.now())
    }
    lookedAt = performance.now()
    bell.rearm()
    page = await insist(bell, () => find(position))
  }
}

/** What came up since is not told any more: the client has to read its list anew. The stream goes on from now. */
function refetch(position: string): LiveAnswer {
  const message = 'that event is too long ago to go on from: read the list anew'
  const extensions = { code: 'LIMIT_REACHED', limit: 'resume', refetch: true }
  return { data: null, errors: [{ message, extensions }], extensions: { eventId: position } }
}

/** Tries until the tier answers: an event is not passed over because nobody could say what it is. */
async function insist<Result>(bell: Bell, work: () => Promise<Result>): Promise<Result> {
  for (let pause = SHORTEST_RETRY_MS; ; pause = Math.min(LOOK_ANYWAY_MS, pause * 2)) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'UNAVAILABLE') throw error
      await bell.pause(pause)
    }
  }
}
