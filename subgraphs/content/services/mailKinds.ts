import { isAutoReply, isBulk } from './autoReplies.ts'
import { findComplaint, isFeedbackReport } from './complaints.ts'
import { findDeliveryReport, isDeliveryStatus } from './deliveryReports.ts'
import { firstValue } from './mailEnvelope.ts'
import type { MailReport, ReportSource } from './mailReports.ts'
import { findProseReport } from './proseReports.ts'

export type MailKind = {
  /** A person's, one that tells of a mail that came back, or a machine's. */
  messageKind: 'email' | 'bounce' | 'auto_reply'
  /** What it tells of another mail; also that it was delivered, or that someone complained. */
  report: MailReport | null
  /** Sent to many, by a list or a newsletter. */
  isBulk: boolean
}

/** Whether a mail is from a person, came back, or was written by a machine in answer. */
export function classifyMail(source: ReportSource): MailKind {
  const { fields, files, envelope } = source
  const inProse = () => (files.some(isDeliveryStatus) ? null : findProseReport(source))
  const report = findComplaint(source) ?? findDeliveryReport(source) ?? inProse()
  const isBounce = report?.recipients.some(({ outcome }) => outcome === 'bounced') === true
  // A report that it was delivered, read or is late is no bounce, and no person wrote it.
  const isMachines = report !== null || isReport(source) || isAutoReply(fields, envelope)
  return {
    messageKind: isBounce ? 'bounce' : isMachines ? 'auto_reply' : 'email',
    report,
    isBulk: isBulk(fields) || files.some(isFeedbackReport),
  }
}

/** Receipts (RFC 8098) and whatever else comes as multipart/report. */
function isReport({ fields, files }: ReportSource): boolean {
  if (/^multipart\/report\b/i.test(firstValue(fields, 'content-type')?.trim() ?? '')) return true
  return files.some(
    (file) =>
      isDeliveryStatus(file) || isFeedbackReport(file) || file.declaredMimeType === 'message/disposition-notification',
  )
}
