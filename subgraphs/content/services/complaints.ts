import { addresses, firstValue } from './mailEnvelope.ts'
import { readFields } from './mailHeaders.ts'
import { findOriginalId, type MailReport, type ReportSource } from './mailReports.ts'
import type { MimeFile } from './mimeReading.ts'

/** Kinds of feedback that say the opposite of a complaint, or speak of signatures (RFC 6591). */
const NO_COMPLAINT = new Set(['not-spam', 'auth-failure', 'dkim', 'dmarc'])

/**
 * A complaint in the Abuse Reporting Format (RFC 5965): someone called our mail spam. Null for every other mail. Whoever
 * passes complaints on often hides the recipient: then the mail is known by its Message-ID alone.
 */
export function findComplaint(source: ReportSource): MailReport | null {
  const report = source.files.find(isFeedbackReport)
  if (!report) return null
  const fields = readFields(report.bytes).flat()
  const type = (firstValue(fields, 'feedback-type') ?? '').trim().toLowerCase()
  if (type === '' || NO_COMPLAINT.has(type)) return null
  const recipient = addresses(firstValue(fields, 'original-rcpt-to') ?? firstValue(fields, 'removal-recipient'))[0]
  return {
    originalMessageId: findOriginalId(source),
    recipients: [
      {
        recipient: recipient ?? null,
        originalRecipient: null,
        outcome: 'complained',
        bounceType: null,
        status: null,
        diagnostic: type.slice(0, 100),
      },
    ],
  }
}

/** Whether a file is feedback of a mailbox provider, of whatever kind. */
export function isFeedbackReport({ declaredMimeType }: MimeFile): boolean {
  return declaredMimeType === 'message/feedback-report'
}
