import { addresses, firstValue } from './mailEnvelope.ts'
import { findOriginalId, type MailReport, type ReportSource, SCANNED_CHARACTERS } from './mailReports.ts'
import { cutText, storableText } from './mailText.ts'
import { bounceTypeOf, findStatus } from './statusCodes.ts'

const SUBJECT =
  /undeliver|delivery (status notification|failure|has failed|notification|report|delayed)|returned mail|mail delivery (failed|failure|system)|failure notice|failed mail|could not be delivered|non-?deliver|(mail|message|delivery) (is )?delayed|delayed mail|unzustellbar|non remis|no entregado|mancato recapito/i
const DELAYED = /delayed|still being retried|has not (yet )?been delivered|no action is required|^warning\b/i
const DAEMON = /^(mailer-daemon|postmaster|mail-daemon|mailerdaemon|mail\.daemon)@/
const MAX_DIAGNOSTIC_LENGTH = 500

/**
 * What a mail server tells that knows no RFC 3464 (qmail, old Exchange and Exim): it writes with the null sender or as a
 * daemon, under a subject that only a report has. Null for every other mail.
 */
export function findProseReport(source: ReportSource): MailReport | null {
  if (!isReport(source)) return null
  const { fields, envelope } = source
  const text = (source.text ?? '').slice(0, SCANNED_CHARACTERS)
  // What is quoted of the returned mail below is somebody else's words.
  const told = text.split(/^(?:-{2,}.*(?:original|returned|copy of the message|below this line).*|>.*)$/im)[0] ?? text
  const status = findStatus(told)
  const outcome = isDelayed(envelope.subject ?? '', status) ? 'delayed' : 'bounced'
  const named = firstValue(fields, 'x-failed-recipients') ?? /<([^<>\s@]+@[^<>\s@]+)>/.exec(told)?.[1]
  return {
    originalMessageId: findOriginalId(source),
    recipients: [
      {
        recipient: addresses(named ?? null)[0] ?? null,
        originalRecipient: null,
        outcome,
        bounceType: outcome === 'bounced' ? bounceTypeOf(status) : null,
        status,
        diagnostic: findReason(told, status),
      },
    ],
  }
}

function isReport({ fields, envelope }: ReportSource): boolean {
  if (firstValue(fields, 'x-failed-recipients')) return true
  const nullSender = firstValue(fields, 'return-path')?.replace(/\s/g, '') === '<>'
  const daemon = DAEMON.test(envelope.fromEmail ?? '')
  return (daemon || nullSender) && SUBJECT.test(envelope.subject ?? '')
}

function isDelayed(subject: string, status: string | null): boolean {
  return DELAYED.test(subject) && !status?.startsWith('5')
}

/** The line that holds the status. */
function findReason(text: string, status: string | null): string | null {
  const line = status && text.split(/\r?\n/).find((one) => findStatus(one) === status)
  return line ? cutText(storableText(line.trim()), MAX_DIAGNOSTIC_LENGTH) : null
}
