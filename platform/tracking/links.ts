import type { TrackingKeys } from './keys.ts'
import { MAX_TARGET_BYTES, signToken, type TrackedMail } from './tokens.ts'

/** Where a mail's tracked addresses lead, and what they are signed with. */
export type TrackingOptions = { publicUrl: string; keys: TrackingKeys }

/** Paths of the gateway that the addresses in mails begin with. */
export const OPEN_PATH = '/t/o/'
export const CLICK_PATH = '/t/c/'
export const UNSUBSCRIBE_PATH = '/u/'

/** The address of a mail's open pixel. */
export function openUrl({ tenantId, messageId }: TrackedMail, { publicUrl, keys }: TrackingOptions): string {
  return publicUrl + OPEN_PATH + signToken({ kind: 'open', tenantId, messageId }, keys)
}

/** The address at which a mail's recipient unsubscribes. */
export function unsubscribeUrl({ tenantId, messageId }: TrackedMail, { publicUrl, keys }: TrackingOptions): string {
  return publicUrl + UNSUBSCRIBE_PATH + signToken({ kind: 'unsubscribe', tenantId, messageId }, keys)
}

/**
 * The address that leads to a link's target by way of us; null for a link that is left as it is: no web address, or one
 * too long to be carried along.
 * @param linkIndex the link's place among the mail's, from 0
 */
export function clickUrl(
  { tenantId, messageId }: TrackedMail,
  { href, linkIndex }: { href: string; linkIndex: number },
  { publicUrl, keys }: TrackingOptions,
): string | null {
  const url = findTarget(href)
  if (url === null || linkIndex > 0xffff) return null
  return publicUrl + CLICK_PATH + signToken({ kind: 'click', tenantId, messageId, linkIndex, url }, keys)
}

/** A web address as a redirection can name it: in ASCII, with its host spelled out; null for anything else. */
function findTarget(href: string): string | null {
  // As browsers do, who take no line break in an address seriously.
  const text = href.replace(/[\t\r\n]/g, '').trim()
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) return null
  const url = new URL(text).href
  return Buffer.byteLength(url) > MAX_TARGET_BYTES ? null : url
}
