import { type Bounce, findBounce, hasDeliveryStatus, type ReportSource } from './deliveryReports.ts'
import { firstValue } from './mailEnvelope.ts'
import type { HeaderField } from './mailHeaders.ts'

export type MailKind = { messageKind: 'email' | 'bounce' | 'auto_reply'; bounce: Bounce | null }

/** Whether a mail is from a person, came back, or was written by a machine in answer. */
export function classifyMail(source: ReportSource): MailKind {
  const bounce = findBounce(source)
  if (bounce) return { messageKind: 'bounce', bounce }
  // A report that it was delivered is no bounce, and no person wrote it.
  const automatic = hasDeliveryStatus(source.files) || isAutoReply(source.fields)
  return { messageKind: automatic ? 'auto_reply' : 'email', bounce: null }
}

/**
 * RFC 3834's Auto-Submitted and what was used before it. `X-Auto-Response-Suppress` is no sign: it is a request of the
 * sender, ordinary mail carries it. What a mailing list sends is mail, whoever wrote it there.
 */
function isAutoReply(fields: readonly HeaderField[]): boolean {
  const value = (name: string) => (firstValue(fields, name) ?? '').trim().toLowerCase()
  const precedence = value('precedence')
  const fromList = value('list-id') !== '' || value('list-post') !== '' || precedence === 'list'
  if (fromList) return false
  const autoSubmitted = value('auto-submitted').split(/[;\s]/)[0]
  if (autoSubmitted) return autoSubmitted !== 'no'
  if (precedence === 'auto_reply' || precedence === 'auto-reply') return true
  return ['x-autoreply', 'x-auto-reply', 'x-autorespond'].some((name) => {
    const said = value(name)
    return said !== '' && said !== 'no' && said !== 'false'
  })
}
