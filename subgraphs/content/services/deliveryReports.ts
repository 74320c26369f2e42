import { addresses, firstValue } from './mailEnvelope.ts'
import { type HeaderField, readFields } from './mailHeaders.ts'
import { findOriginalId, type MailReport, type ReportedRecipient, type ReportSource } from './mailReports.ts'
import { cutText, storableText } from './mailText.ts'
import type { MimeFile } from './mimeReading.ts'
import { bounceTypeOf, findStatus } from './statusCodes.ts'

const MAX_RECIPIENTS = 50
const MAX_DIAGNOSTIC_LENGTH = 500

/** What an RFC 3464 delivery status tells; null for a mail without one, or one that tells nothing of any recipient. */
export function findDeliveryReport(source: ReportSource): MailReport | null {
  const report = source.files.find(isDeliveryStatus)
  if (!report) return null
  const recipients = readRecipients(report.bytes)
  return recipients.length === 0 ? null : { originalMessageId: findOriginalId(source), recipients }
}

/** Whether a file is a delivery status, of failure or success. */
export function isDeliveryStatus({ declaredMimeType }: MimeFile): boolean {
  return declaredMimeType === 'message/delivery-status' || declaredMimeType === 'message/global-delivery-status'
}

/** The first group of fields is about the report, each further one about a recipient. */
function readRecipients(bytes: Buffer): ReportedRecipient[] {
  return readFields(bytes)
    .filter((group) => ['action', 'status', 'final-recipient'].some((name) => firstValue(group, name) !== null))
    .slice(0, MAX_RECIPIENTS)
    .flatMap((group) => readRecipient(group) ?? [])
}

function readRecipient(group: readonly HeaderField[]): ReportedRecipient | null {
  const diagnostic = firstValue(group, 'diagnostic-code')
  const status = chooseStatus(findStatus(firstValue(group, 'status')), findStatus(diagnostic))
  const outcome = outcomeOf((firstValue(group, 'action') ?? '').toLowerCase(), status)
  if (!outcome) return null
  return {
    recipient: addressOf(firstValue(group, 'final-recipient')),
    originalRecipient: addressOf(firstValue(group, 'original-recipient')),
    outcome,
    bounceType: outcome === 'bounced' ? bounceTypeOf(status) : null,
    status,
    diagnostic: diagnostic && cutText(storableText(diagnostic), MAX_DIAGNOSTIC_LENGTH),
  }
}

/** `relayed` and `expanded` say that it left for where nobody will tell: that is nothing to go by. */
function outcomeOf(action: string, status: string | null): ReportedRecipient['outcome'] | null {
  if (action.startsWith('fail')) return 'bounced'
  if (action.startsWith('delay')) return 'delayed'
  if (action.startsWith('deliver')) return 'delivered'
  return action === '' && /^[45]/.test(status ?? '') ? 'bounced' : null
}

/** A server that gives up writes 5.0.0 or 4.0.0 and leaves the reason to what the other one said. */
function chooseStatus(status: string | null, diagnosed: string | null): string | null {
  const isVague = status === null || /^[45]\.0\.0$/.test(status)
  return isVague && diagnosed && (status === null || diagnosed[0] === status[0]) ? diagnosed : status
}

/** `rfc822; someone@example.com` */
function addressOf(field: string | null): string | null {
  return addresses(field?.split(';').at(-1) ?? null)[0] ?? null
}
