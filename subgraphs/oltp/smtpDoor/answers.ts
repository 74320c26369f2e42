import type { Fate } from './delivery.ts'

/** An answer of the server other than "yes": `responseCode` 4xx asks for another attempt, 5xx refuses for good. */
export type Refusal = Error & { responseCode: number }

export function makeRefusal(responseCode: number, message: string): Refusal {
  return Object.assign(new Error(message), { responseCode })
}

export const unknownMailbox = () => makeRefusal(550, 'there is no such mailbox here')
export const comeLater = () => makeRefusal(451, 'the mail cannot be stored at the moment, try again later')
const unusableMail = () => makeRefusal(554, 'the mail is empty or too large')

/** What a recipient's fate is in LMTP, which answers for each of them; null is yes. */
export function answerFor(fate: Fate): Refusal | null {
  if (fate === 'stored' || fate === 'known') return null
  if (fate === 'gone') return unknownMailbox()
  return fate === 'refused' ? unusableMail() : comeLater()
}

/**
 * The one answer that SMTP has for all recipients; null is yes. Yes only when it is stored for every one of them: for
 * less than that the mail is asked for again, which costs those who have it nothing.
 */
export function answerForAll(fates: readonly Fate[]): Refusal | null {
  const refusals = fates.map(answerFor).filter((refusal) => refusal !== null)
  const [first] = refusals
  if (!first) return null
  return refusals.length === fates.length && refusals.every(({ responseCode }) => responseCode >= 500)
    ? first
    : comeLater()
}
