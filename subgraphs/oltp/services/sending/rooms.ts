import { localDay } from '../mailFlow/localDay.ts'
import { addressDay } from './addressLoads.ts'
import type { BudgetKey, Budgets } from './budgets.ts'
import { type CampaignFacts, planKey, type SendingMailbox } from './campaignFacts.ts'
import { addressCap, DOMAIN_DAILY_CAP, mailboxCap } from './caps.ts'
import type { MailboxRoom, SharedRoom } from './limits.ts'
import { slotsIn } from './slots.ts'
import type { Span } from './window.ts'

/** What mailboxes can take on in a span, given what was promised already. @param loads by `addressDay` */
export function makeRooms(
  campaign: CampaignFacts,
  mailboxes: readonly SendingMailbox[],
  { budgets, loads, span }: { budgets: Budgets; loads: ReadonlyMap<string, number>; span: Span },
): { mailboxes: MailboxRoom[]; shared: SharedRoom } {
  const day = localDay(span.from, campaign.timezones.tenant)
  const utcDay = localDay(span.from, 'UTC')
  const budget = (scope: BudgetKey['scope'], scopeId: string) => budgets.of({ scope, scopeId, day })
  const slots = slotsIn(span)
  const domains = new Map<string, number>()
  const addresses = new Map<string, number>()
  const rooms = mailboxes.map((mailbox): MailboxRoom => {
    const { id, domainId, address, isActive } = mailbox
    domains.set(domainId, DOMAIN_DAILY_CAP - budget('domain', domainId).reserved)
    if (address) {
      const load = loads.get(addressDay({ addressId: address.id, day: utcDay })) ?? 0
      addresses.set(address.id, addressCap(address, span.from) - load)
    }
    const cap = mailboxCap(mailbox, span.from)
    const { reserved, sent } = budget('mailbox', id)
    const waiting = Math.max(0, reserved - sent)
    return {
      ...{ id, domainId, addressId: address?.id ?? null, isActive, cap, reserved, waiting },
      isWarming: cap < mailbox.dailyLimit,
      slots: slots - waiting,
    }
  })
  const { dailyCap, plan } = campaign
  return {
    mailboxes: rooms,
    shared: {
      campaign: (dailyCap ?? Number.POSITIVE_INFINITY) - budget('campaign', campaign.id).reserved,
      plan: plan ? plan.maxEmails - budgets.of(planKey(plan, span.from)).reserved : Number.POSITIVE_INFINITY,
      domains,
      addresses,
    },
  }
}
