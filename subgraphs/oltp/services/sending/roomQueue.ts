import TinyQueue from 'tinyqueue'
import { limitOf, type MailboxRoom, type SharedRoom } from './limits.ts'

/** A mailbox as loaded as it was when it was queued. */
type QueuedRoom = { room: MailboxRoom; load: number; order: number }

/** A domain with as many mails as it had been given, and the least loaded mailbox that it had, when it was queued. */
type QueuedDomain = { id: string; mails: number; least: QueuedRoom }

const byLoad = (a: QueuedRoom, b: QueuedRoom) => a.load - b.load || a.order - b.order

const loadOf = ({ reserved, cap }: MailboxRoom) => reserved / cap

/**
 * The mailbox for the next mail: the least loaded one that can take it, of equal ones that whose domain was given the
 * fewest. It is found without looking at all of them: as mails are given out loads grow and limits are reached, never the
 * other way, so an entry that is out of date comes too early, and is put back, or dropped, when it does.
 */
export class RoomQueue {
  readonly #shared: SharedRoom
  readonly #mails = new Map<string, number>()
  readonly #rooms = new Map<string, TinyQueue<QueuedRoom>>()
  readonly #domains = new TinyQueue<QueuedDomain>(
    [],
    (a, b) => a.least.load - b.least.load || a.mails - b.mails || a.least.order - b.least.order,
  )

  constructor(rooms: readonly MailboxRoom[], shared: SharedRoom) {
    this.#shared = shared
    for (const [order, room] of rooms.entries()) {
      if (limitOf(room, shared) !== null) continue
      const ofDomain = this.#rooms.get(room.domainId) ?? new TinyQueue<QueuedRoom>([], byLoad)
      ofDomain.push({ room, load: loadOf(room), order })
      this.#rooms.set(room.domainId, ofDomain)
    }
    for (const id of this.#rooms.keys()) this.#queueDomain(id)
  }

  /** The mailbox that a mail goes to which may go anywhere; undefined when none can take on any more. */
  least(): MailboxRoom | undefined {
    for (;;) {
      const first = this.#domains.peek()
      if (!first) return undefined
      if (first.least === this.#leastOf(first.id) && first.mails === this.#mailsOf(first.id)) return first.least.room
      this.#domains.pop()
      this.#queueDomain(first.id)
    }
  }

  /** To be told of every mail that was given to a mailbox. */
  count({ domainId }: MailboxRoom): void {
    this.#mails.set(domainId, this.#mailsOf(domainId) + 1)
  }

  #queueDomain(id: string): void {
    const least = this.#leastOf(id)
    if (least) this.#domains.push({ id, mails: this.#mailsOf(id), least })
  }

  /** The least loaded mailbox of a domain that can take on one more. */
  #leastOf(id: string): QueuedRoom | undefined {
    const rooms = this.#rooms.get(id)
    for (;;) {
      const first = rooms?.peek()
      if (!first) return undefined
      const isOpen = limitOf(first.room, this.#shared) === null
      if (isOpen && first.load === loadOf(first.room)) return first
      rooms?.pop()
      if (isOpen) rooms?.push({ ...first, load: loadOf(first.room) })
    }
  }

  #mailsOf(id: string): number {
    return this.#mails.get(id) ?? 0
  }
}
