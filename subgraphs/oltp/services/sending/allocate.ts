/** What stops a mail from being planned now; the names of `SendLimit` in the graph. */
export type Limit =
  | 'mailbox_missing'
  | 'mailbox_paused'
  | 'mailbox_cap'
  | 'mailbox_warmup'
  | 'domain_cap'
  | 'address_cap'
  | 'campaign_cap'
  | 'plan_limit'
  | 'window'

/** A mailbox with what it and what it shares with others can still take on. */
export type MailboxRoom = {
  id: string
  domainId: string
  addressId: string | null
  isActive: boolean
  isWarming: boolean
  cap: number
  reserved: number
  /** Mails that still fit into the span at a decent distance. */
  slots: number
}

/** What mailboxes share; changed as mails are given out. */
export type SharedRoom = {
  campaign: number
  plan: number
  domains: Map<string, number>
  addresses: Map<string, number>
}

/** A mail to be given to a mailbox: this one, or (null) any. */
export type MailToPlace = { mailboxId: string | null }

export type Placed = { mailbox: MailboxRoom; limit: null } | { mailbox: null; limit: Limit }

/**
 * Gives mails to mailboxes, first come first served, without passing any limit. One that may go anywhere goes to the
 * mailbox with the least of its day taken, of equal ones to the domain with the least; so it spreads over both.
 */
export function allocate(
  mails: readonly MailToPlace[],
  mailboxes: readonly MailboxRoom[],
  shared: SharedRoom,
): Placed[] {
  const rooms = new Map(mailboxes.map((mailbox) => [mailbox.id, { ...mailbox }]))
  const ofDomain = new Map<string, number>()
  const place = (room: MailboxRoom): Placed => {
    room.reserved += 1
    room.slots -= 1
    shared.campaign -= 1
    shared.plan -= 1
    ofDomain.set(room.domainId, (ofDomain.get(room.domainId) ?? 0) + 1)
    shared.domains.set(room.domainId, (shared.domains.get(room.domainId) ?? 0) - 1)
    if (room.addressId) shared.addresses.set(room.addressId, (shared.addresses.get(room.addressId) ?? 0) - 1)
    return { mailbox: room, limit: null }
  }
  const loadOf = ({ reserved, cap }: MailboxRoom) => reserved / cap
  return mails.map(({ mailboxId }) => {
    if (shared.campaign <= 0) return { mailbox: null, limit: 'campaign_cap' }
    if (shared.plan <= 0) return { mailbox: null, limit: 'plan_limit' }
    if (mailboxId !== null) {
      const room = rooms.get(mailboxId)
      const limit = room ? limitOf(room, shared) : 'mailbox_missing'
      return room && limit === null ? place(room) : { mailbox: null, limit: limit ?? 'mailbox_missing' }
    }
    let best: MailboxRoom | undefined
    let limit: Limit = 'mailbox_missing'
    for (const room of rooms.values()) {
      const own = limitOf(room, shared)
      if (own !== null) {
        // Of many reasons the one that time alone heals is the best to tell.
        if (limit === 'mailbox_missing' || limit === 'mailbox_paused') limit = own
        continue
      }
      const [load, lowest] = [loadOf(room), best ? loadOf(best) : Number.POSITIVE_INFINITY]
      const domainLoad = (mailbox: MailboxRoom) => ofDomain.get(mailbox.domainId) ?? 0
      if (!best || load < lowest || (load === lowest && domainLoad(room) < domainLoad(best))) best = room
    }
    return best ? place(best) : { mailbox: null, limit }
  })
}

/** What keeps this mailbox from taking on one more; null when nothing does. */
export function limitOf(room: MailboxRoom, shared: SharedRoom): Limit | null {
  if (!room.isActive) return 'mailbox_paused'
  if (room.reserved >= room.cap) return room.isWarming ? 'mailbox_warmup' : 'mailbox_cap'
  if ((shared.domains.get(room.domainId) ?? 0) <= 0) return 'domain_cap'
  if (room.addressId && (shared.addresses.get(room.addressId) ?? 0) <= 0) return 'address_cap'
  if (room.slots <= 0) return 'window'
  return null
}
