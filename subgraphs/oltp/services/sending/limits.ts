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
  /** Of these, mails that have not begun to leave. */
  waiting: number
  /** Mails that still fit into the span at a decent distance, beside those that wait. */
  slots: number
}

/** What mailboxes share. */
export type SharedRoom = {
  campaign: number
  plan: number
  domains: Map<string, number>
  addresses: Map<string, number>
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
