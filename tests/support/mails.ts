import { randomUUID } from 'node:crypto'

/** A small mail as bytes, in base64. Headers are written as given; `messageId` without brackets. */
export function makeMail({
  messageId = `${randomUUID()}@mail.example`,
  headers = {},
  body = 'Hello there.',
}: {
  messageId?: string | null
  headers?: Record<string, string>
  body?: string
} = {}): string {
  const all: Record<string, string> = {
    From: 'Someone <someone@elsewhere.example>',
    Subject: 'A question',
    Date: 'Sun, 22 Nov 2026 09:00:00 +0000',
    ...(messageId && { 'Message-ID': `<${messageId}>` }),
    ...headers,
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`)
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}\r\n`, 'latin1').toString('base64')
}

/** A report (RFC 3464) that a mail came back. */
export function makeBounce(mail: { original: string; recipient: string; status: string }) {
  return makeReport({ ...mail, action: 'failed' })
}

type ReportParts = { original: string; recipient: string; action: string; status: string }

/** A delivery report (RFC 3464) about a mail. */
export function makeReport({ original, recipient, action, status }: ReportParts) {
  const body = [
    '--b',
    'Content-Type: text/plain',
    '',
    'About your mail.',
    '--b',
    'Content-Type: message/delivery-status',
    '',
    'Reporting-MTA: dns; mx.elsewhere.example',
    '',
    `Final-Recipient: rfc822; ${recipient}`,
    `Action: ${action}`,
    `Status: ${status}`,
    '',
    '--b',
    'Content-Type: text/rfc822-headers',
    '',
    `Message-ID: <${original}>`,
    `To: ${recipient}`,
    '',
    '--b--',
  ]
  return makeMail({
    headers: {
      From: 'Mail Delivery System <mailer-daemon@elsewhere.example>',
      'Auto-Submitted': 'auto-replied',
      'Content-Type': 'multipart/report; report-type=delivery-status; boundary="b"',
    },
    body: body.join('\r\n'),
  })
}

/** A complaint (RFC 5965) about a mail; without a recipient it hides who complained. */
export function makeComplaint({ original, recipient }: { original: string; recipient: string | null }) {
  const body = [
    '--b',
    'Content-Type: message/feedback-report',
    '',
    'Feedback-Type: abuse',
    'User-Agent: Elsewhere-FBL/1.0',
    'Version: 1',
    ...(recipient ? [`Original-Rcpt-To: <${recipient}>`] : []),
    '',
    '--b',
    'Content-Type: message/rfc822',
    '',
    `Message-ID: <${original}>`,
    'Subject: An offer',
    '',
    'Hello.',
    '--b--',
  ]
  return makeMail({
    headers: {
      From: 'Complaints <feedback@elsewhere.example>',
      'Content-Type': 'multipart/report; report-type=feedback-report; boundary="b"',
    },
    body: body.join('\r\n'),
  })
}
