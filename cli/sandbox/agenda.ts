import TinyQueue from 'tinyqueue'
import { realTimeOf } from '#platform/clock.ts'

type Entry = { dueAt: number; order: number; work: () => Promise<void> }

/** Longest wait of one timer: a timer cannot be set for more than 24 days. */
const LONGEST_TIMER_MS = 60 * 60 * 1000
const AT_ONCE = 32

/** What is to be done and when, in memory only. What is due runs in its order, a few at a time. */
export class Agenda {
  readonly #entries = new TinyQueue<Entry>([], (a, b) => a.dueAt - b.dueAt || a.order - b.order)
  readonly #onError: (error: unknown) => void
  #added = 0
  #running = 0
  #stopped = false
  #timer: NodeJS.Timeout | undefined

  constructor(onError: (error: unknown) => void) {
    this.#onError = onError
  }

  /** How much there is still to be done, what is being done included. */
  get pending(): number {
    return this.#entries.length + this.#running
  }

  /** @param at business time */
  add(at: Date, work: () => Promise<void>): void {
    this.#push(realTimeOf(at).getTime(), work)
  }

  /** @param ms real milliseconds: for another attempt at what somebody else was not ready for */
  addIn(ms: number, work: () => Promise<void>): void {
    this.#push(Date.now() + ms, work)
  }

  /** Forgets what is not due yet. */
  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
    while (this.#entries.length > 0) this.#entries.pop()
  }

  #push(dueAt: number, work: () => Promise<void>): void {
    if (this.#stopped) return
    this.#entries.push({ dueAt, order: this.#added++, work })
    this.#arm()
  }

  #arm(): void {
    clearTimeout(this.#timer)
    const next = this.#entries.peek()
    if (!next || this.#running >= AT_ONCE) return
    const wait = Math.min(Math.max(next.dueAt - Date.now(), 0), LONGEST_TIMER_MS)
    this.#timer = setTimeout(() => this.#runDue(), wait)
  }

  #runDue(): void {
    for (;;) {
      const next = this.#entries.peek()
      if (!next || next.dueAt > Date.now() || this.#running >= AT_ONCE) break
      this.#entries.pop()
      this.#running += 1
      void next
        .work()
        .catch(this.#onError)
        .finally(() => {
          this.#running -= 1
          this.#arm()
        })
    }
    this.#arm()
  }
}
