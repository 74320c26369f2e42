/** How often recipients do what; each between 0 and 1. */
export type Rates = {
  /** Of recipients: those that do not exist, and are refused at once. */
  refuse: number
  /** Of recipients: those whose server takes a sender it does not know at the second attempt only. */
  greylist: number
  /** Of mails taken: those that come back, for good or for now. */
  hardBounce: number
  softBounce: number
  /** Of mails that arrive: those that do so late. */
  delay: number
  /** Of recipients: those whose provider fetches pictures for them, ahead of them, or follows every link to check it. */
  proxy: number
  prefetch: number
  scanner: number
  /** Of mails that arrive: those that a person reads. Nobody sees it of those whose provider fetches their pictures. */
  open: number
  /** Of mails read: those with a link that is followed. */
  click: number
  /** Of mails that arrive: what is done in answer to them, after reading. */
  reply: number
  complaint: number
  unsubscribe: number
  /** Of mails that arrive: those whose recipient is away. */
  autoReply: number
}

/** What cold mail of a sender with a good name meets. */
export const DEFAULT_RATES: Rates = {
  refuse: 0.005,
  greylist: 0.03,
  hardBounce: 0.01,
  softBounce: 0.01,
  delay: 0.05,
  proxy: 0.3,
  prefetch: 0.04,
  scanner: 0.08,
  open: 0.45,
  click: 0.15,
  reply: 0.06,
  complaint: 0.0005,
  unsubscribe: 0.01,
  autoReply: 0.03,
}
