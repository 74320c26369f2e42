import { groupBy } from '#platform/grouping.ts'
import type { CampaignFacts, PlannedStep, SendingMailbox } from '../sending/campaignFacts.ts'
import { addressCap, DOMAIN_DAILY_CAP, mailboxCap } from '../sending/caps.ts'
import { slotsIn } from '../sending/slots.ts'
import { nextOpenSpan, type SendingWindow } from '../sending/window.ts'

/** Mails that mailboxes may send on the day of `at`, by their own limits and those of domain, address, window and campaign. */
export function capacityOf(
  { window, dailyCap }: Pick<CampaignFacts, 'window' | 'dailyCap'>,
  mailboxes: readonly SendingMailbox[],
  at: Date,
): number {
  const slots = slotsInWindow(window)
  const ofDomains = [...groupBy(mailboxes, ({ domainId }) => domainId).values()].map((group) => ({
    mails: Math.min(DOMAIN_DAILY_CAP, sum(group.map((mailbox) => Math.min(mailboxCap(mailbox, at), slots)))),
    address: group[0]?.address ?? null,
  }))
  const ofAddresses = [...groupBy(ofDomains, ({ address }) => address?.id ?? null).values()].map((group) => {
    const address = group[0]?.address
    return Math.min(sum(group.map(({ mails }) => mails)), address ? addressCap(address, at) : Number.POSITIVE_INFINITY)
  })
  return Math.min(sum(ofAddresses), dailyCap ?? Number.POSITIVE_INFINITY)
}

/** Mails that the mailboxes' own limits allow on the day of `at`. */
export function mailboxCapacity(mailboxes: readonly SendingMailbox[], at: Date): number {
  return sum(mailboxes.map((mailbox) => mailboxCap(mailbox, at)))
}

/** Mails that the addresses they leave by may carry on the day of `at`; null when there are none. */
export function addressCapacity(mailboxes: readonly SendingMailbox[], at: Date): number | null {
  const addresses = new Map(mailboxes.flatMap(({ address }) => (address ? [[address.id, address] as const] : [])))
  return addresses.size === 0 ? null : sum([...addresses.values()].map((address) => addressCap(address, at)))
}

/** Hours before each mail, those of the steps between it and the mail before it among them. */
export function waitsBefore(steps: readonly PlannedStep[]): number[] {
  const waits: number[] = []
  let hours = 0
  for (const { stepType, waitHours } of steps) {
    hours += waitHours
    if (stepType !== 'email') continue
    waits.push(hours)
    hours = 0
  }
  return waits
}

/** Mails of one mailbox that fit into a day's window; the second span after any instant is a whole one. */
function slotsInWindow(window: SendingWindow): number {
  const first = nextOpenSpan(window, 'UTC', new Date(0))
  const whole = first && nextOpenSpan(window, 'UTC', first.to)
  return whole ? slotsIn(whole) : 0
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
