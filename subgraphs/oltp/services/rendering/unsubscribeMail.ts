/** A mail's reference as Message-IDs and subjects carry it. */
const SUBJECT = /^\s*unsubscribe\s+([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})\s*$/i

/**
 * The address that programs write to which unsubscribe by mail (RFC 2369): the mail's sender, the mail named in the subject.
 * Its reference is as good as a secret: only those know it who had the mail in hand.
 */
export function unsubscribeMailto(senderEmail: string, refId: string): string {
  return `mailto:${encodeURI(senderEmail)}?subject=unsubscribe%20${refId.replaceAll('-', '')}`
}

/** The reference of the mail that an inbound mail's subject unsubscribes from; null for any other subject. */
export function findUnsubscribedRef(subject: string | null): string | null {
  const parts = SUBJECT.exec(subject ?? '')
  return parts ? parts.slice(1).join('-').toLowerCase() : null
}
