/** Shares of mails below this many say nothing: one bounce of three is bad luck. */
export const MINIMUM_SENT = 20

/** A mailbox is stopped above these, by what came of its mails in 24 hours (or since a person let it go on). */
export const MAILBOX_LIMITS = { pauseBounces: 0.05, suspendBounces: 0.1, complaints: 2, complaintShare: 0.002 }

/** A campaign is paused above this share of hard bounces, by all it has sent (or since a person let it go on). */
export const CAMPAIGN_HARD_BOUNCES = 0.05

/** What came of a mailbox's mails lately. */
export type MailboxFigures = { sent: number; bounced: number; complained: number }

/** How something is stopped, and why: for people to read. */
export type Brake = { status: 'paused' | 'suspended'; reason: string }

/** What a mailbox is stopped for, the gravest first; null while all is well. */
export function judgeMailbox({ sent, bounced, complained }: MailboxFigures): Brake | null {
  const { pauseBounces, suspendBounces, complaints, complaintShare } = MAILBOX_LIMITS
  const bounces = (limit: number) =>
    `${bounced} of ${sent} mails bounced in the last 24 hours (${percent(bounced / sent)}, limit ${percent(limit)})`
  const isSample = sent >= MINIMUM_SENT
  if (isSample && bounced / sent > suspendBounces) return { status: 'suspended', reason: bounces(suspendBounces) }
  if (isSample && bounced / sent > pauseBounces) return { status: 'paused', reason: bounces(pauseBounces) }
  if (complained > complaints) {
    return { status: 'paused', reason: `${complained} complaints in the last 24 hours (limit ${complaints})` }
  }
  if (isSample && complained / sent > complaintShare) {
    const share = `${percent(complained / sent)}, limit ${percent(complaintShare)}`
    const reason = `${complained} of ${sent} mails were complained of in the last 24 hours (${share})`
    return { status: 'paused', reason }
  }
  return null
}

/** What a campaign is paused for; null while all is well. */
export function judgeCampaign({ sent, bounced }: Pick<MailboxFigures, 'sent' | 'bounced'>): Brake | null {
  if (sent < MINIMUM_SENT || bounced / sent <= CAMPAIGN_HARD_BOUNCES) return null
  const share = `${percent(bounced / sent)}, limit ${percent(CAMPAIGN_HARD_BOUNCES)}`
  return { status: 'paused', reason: `${bounced} of ${sent} mails bounced for good (${share})` }
}

/** `7.5 %`; at most two decimals. */
function percent(share: number): string {
  return `${Number((share * 100).toFixed(2))} %`
}
