import { type Limit, limitOf, type MailboxRoom, type SharedRoom } from './limits.ts'
import { RoomQueue } from './roomQueue.ts'

/** A mail to be given to a mailbox: this one, or (null) any. */
export type MailToPlace = { mailboxId: string | null }

export type Placed = { mailbox: MailboxRoom; limit: null } | { mailbox: null; limit: Limit }

/**
 * Gives mails to mailboxes, first come first served, without passing any limit. One that may go anywhere goes to the
 * mailbox with the least of its day taken, of equal ones to the domain that got the fewest; so it spreads over both.
 * @param mailboxes changed, as `shared` is: what is given out is taken from both
 */
export function allocate(
  mails: readonly MailToPlace[],
  mailboxes: readonly MailboxRoom[],
  shared: SharedRoom,
): Placed[] {
  const rooms = new Map(mailboxes.map((mailbox) => [mailbox.id, mailbox]))
  const queue = new RoomQueue(mailboxes, shared)
  const place = (room: MailboxRoom): Placed => {
    room.reserved += 1
    room.slots -= 1
    shared.campaign -= 1
    shared.plan -= 1
    shared.domains.set(room.domainId, (shared.domains.get(room.domainId) ?? 0) - 1)
    if (room.addressId) shared.addresses.set(room.addressId, (shared.addresses.get(room.addressId) ?? 0) - 1)
    queue.count(room)
    return { mailbox: room, limit: null }
  }
  let limitOfAll: Limit | undefined
  return mails.map(({ mailboxId }) => {
    if (shared.campaign <= 0) return { mailbox: null, limit: 'campaign_cap' }
    if (shared.plan <= 0) return { mailbox: null, limit: 'plan_limit' }
    if (mailboxId !== null) {
      const room = rooms.get(mailboxId)
      const limit = room ? limitOf(room, shared) : 'mailbox_missing'
      return room && limit === null ? place(room) : { mailbox: null, limit: limit ?? 'mailbox_missing' }
    }
    const least = queue.least()
    if (least) return place(least)
    // Nobody can take on any more, so what keeps them from it stays as it is.
    limitOfAll ??= toldLimit(mailboxes, shared)
    return { mailbox: null, limit: limitOfAll }
  })
}

/** Whether a mail that may go anywhere would find a place. */
export function hasRoom(mailboxes: readonly MailboxRoom[], shared: SharedRoom): boolean {
  if (shared.campaign <= 0 || shared.plan <= 0) return false
  return mailboxes.some((room) => limitOf(room, shared) === null)
}

/** What to tell when no mailbox can take on a mail: of many reasons, one that time alone heals. */
function toldLimit(mailboxes: readonly MailboxRoom[], shared: SharedRoom): Limit {
  const limits = mailboxes.map((room) => limitOf(room, shared)).filter((limit) => limit !== null)
  return limits.find((limit) => limit !== 'mailbox_paused') ?? limits[0] ?? 'mailbox_missing'
}
