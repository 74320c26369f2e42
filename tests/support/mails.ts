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

/** A delivery report (RFC 3464) about a mail. */
export function makeBounce({ original, recipient, status }: { original: string; recipient: string; status: string }) {
  const body = [
    '--b',
    'Content-Type: text/plain',
    '',
    'Your mail came back.',
    '--b',
    'Content-Type: message/delivery-status',
    '',
    'Reporting-MTA: dns; mx.elsewhere.example',
    '',
    `Final-Recipient: rfc822; ${recipient}`,
    'Action: failed',
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
