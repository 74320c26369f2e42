import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { allocate } from '../../../subgraphs/oltp/services/sending/allocate.ts'
import { limitOf, type MailboxRoom, type SharedRoom } from '../../../subgraphs/oltp/services/sending/limits.ts'

const DOMAINS = [0, 1, 2]

const room = fc.record({
  cap: fc.nat(20),
  reserved: fc.nat(10),
  slots: fc.nat(20),
  isActive: fc.boolean(),
  isWarming: fc.boolean(),
  domain: fc.constantFrom(...DOMAINS),
})
const limits = fc.record({ campaign: fc.nat(60), plan: fc.nat(60), domain: fc.nat(30), address: fc.nat(30) })

/** Mailboxes of three domains with an address each, what they share, and mails: to one mailbox, or (null) to any. */
const asked = fc.record({
  rooms: fc.array(room, { maxLength: 12 }),
  limit: limits,
  wishes: fc.array(fc.option(fc.nat(13)), { maxLength: 60 }),
})

type Asked = typeof asked extends fc.Arbitrary<infer Value> ? Value : never

function build({ rooms, limit, wishes }: Asked) {
  const mailboxes = rooms.map(({ domain, ...own }, index): MailboxRoom => {
    return { ...own, waiting: 0, id: `m${index}`, domainId: `d${domain}`, addressId: `a${domain}` }
  })
  const shared: SharedRoom = {
    ...{ campaign: limit.campaign, plan: limit.plan },
    domains: new Map(DOMAINS.map((id) => [`d${id}`, limit.domain])),
    addresses: new Map(DOMAINS.map((id) => [`a${id}`, limit.address])),
  }
  const mails = wishes.map((wish) => ({ mailboxId: wish === null ? null : `m${wish}` }))
  return { mailboxes, shared, mails }
}

describe('mails given out', () => {
  test('are within every limit, whatever is asked for', () => {
    fc.assert(
      fc.property(asked, (parts) => {
        const { limit, wishes } = parts
        const before = build(parts)
        const { mailboxes, shared, mails } = build(parts)
        const places = allocate(mails, mailboxes, shared)
        const taken = (id: string) => places.filter(({ mailbox }) => mailbox?.id === id).length
        const ofDomain = (id: string) => places.filter(({ mailbox }) => mailbox?.domainId === id).length
        for (const { id, cap, reserved, slots, isActive } of before.mailboxes) {
          expect(taken(id)).toBeLessThanOrEqual(isActive ? Math.max(0, Math.min(cap - reserved, slots)) : 0)
          expect(mailboxes.find((mailbox) => mailbox.id === id)?.reserved).toBe(reserved + taken(id))
        }
        for (const id of DOMAINS) expect(ofDomain(`d${id}`)).toBeLessThanOrEqual(Math.min(limit.domain, limit.address))
        const all = places.filter(({ mailbox }) => mailbox).length
        expect(all).toBeLessThanOrEqual(Math.min(limit.campaign, limit.plan))
        for (const [index, wish] of wishes.entries()) {
          const place = places[index]
          if (wish !== null && place?.mailbox) expect(place.mailbox.id).toBe(`m${wish}`)
          if (!place?.mailbox) expect(place?.limit).toBeTruthy()
        }
      }),
    )
  })

  test('go to those that a look at every mailbox for every mail would choose, and fail for its reason', () => {
    fc.assert(
      fc.property(asked, (parts) => {
        const quick = build(parts)
        const slow = build(parts)
        const places = allocate(quick.mails, quick.mailboxes, quick.shared)
        const expected = allocateSlowly(slow)
        expect(places.map(({ mailbox, limit }) => mailbox?.id ?? limit)).toEqual(expected)
        expect(quick.shared).toEqual(slow.shared)
      }),
      { numRuns: 1_000 },
    )
  })
})

/** The least loaded mailbox, of equal ones the one whose domain was given the fewest, of those the first. */
function allocateSlowly({ mailboxes, shared, mails }: ReturnType<typeof build>): string[] {
  const given = new Map<string, number>()
  const domainMails = ({ domainId }: MailboxRoom) => given.get(domainId) ?? 0
  return mails.map(({ mailboxId }) => {
    if (shared.campaign <= 0) return 'campaign_cap'
    if (shared.plan <= 0) return 'plan_limit'
    const asked = mailboxId === null ? mailboxes : mailboxes.filter(({ id }) => id === mailboxId)
    const [best] = asked
      .filter((mailbox) => limitOf(mailbox, shared) === null)
      .sort((a, b) => a.reserved / a.cap - b.reserved / b.cap || domainMails(a) - domainMails(b))
    if (!best) {
      const reasons = asked.map((mailbox) => limitOf(mailbox, shared) ?? '')
      return reasons.find((reason) => reason !== 'mailbox_paused') ?? reasons[0] ?? 'mailbox_missing'
    }
    best.reserved += 1
    best.slots -= 1
    shared.campaign -= 1
    shared.plan -= 1
    shared.domains.set(best.domainId, (shared.domains.get(best.domainId) ?? 0) - 1)
    shared.addresses.set(best.addressId ?? '', (shared.addresses.get(best.addressId ?? '') ?? 0) - 1)
    given.set(best.domainId, domainMails(best) + 1)
    return best.id
  })
}
