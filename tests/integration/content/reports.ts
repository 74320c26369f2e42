import { mail } from './mails.ts'

// Reports as the usual servers write them, about <orig@sender.example> to gone@rcpt.example.

const RETURNED = [
  'From: ada@sender.example',
  'To: gone@rcpt.example',
  'Message-ID: <orig@sender.example>',
  'Subject: Offer',
]

function report(headers: string[], type: string, parts: { type: string; lines: string[] }[]): Buffer {
  return mail(
    [...headers, 'MIME-Version: 1.0', `Content-Type: multipart/report; report-type=${type}; boundary="=_b"`],
    [...parts.flatMap((part) => ['--=_b', `Content-Type: ${part.type}`, '', ...part.lines]), '--=_b--'],
  )
}

export const POSTFIX = report(
  [
    'Return-Path: <>',
    'From: MAILER-DAEMON@mx.example (Mail Delivery System)',
    'Subject: Undelivered Mail Returned to Sender',
    'Auto-Submitted: auto-replied',
  ],
  'delivery-status',
  [
    { type: 'text/plain; charset=us-ascii', lines: ['This is the mail system at host mx.example.', ''] },
    {
      type: 'message/delivery-status',
      lines: [
        'Reporting-MTA: dns; mx.example',
        'X-Postfix-Queue-ID: 4Abc',
        'X-Postfix-Sender: rfc822; ada@sender.example',
        'Arrival-Date: Sun, 22 Nov 2026 09:00:00 +0000 (UTC)',
        '',
        'Final-Recipient: rfc822; gone@rcpt.example',
        'Original-Recipient: rfc822;gone@rcpt.example',
        'Action: failed',
        'Status: 5.1.1',
        'Remote-MTA: dns; in.rcpt.example',
        'Diagnostic-Code: smtp; 550 5.1.1 <gone@rcpt.example>: Recipient address',
        '    rejected: User unknown in virtual mailbox table',
        '',
      ],
    },
    { type: 'message/rfc822', lines: [...RETURNED, '', 'Hello.', ''] },
  ],
)

export const GMAIL = report(
  [
    'From: Mail Delivery Subsystem <mailer-daemon@googlemail.com>',
    'To: ada@sender.example',
    'Auto-Submitted: auto-replied',
    'Subject: Delivery Status Notification (Failure)',
    'References: <orig@sender.example>',
    'In-Reply-To: <orig@sender.example>',
    'X-Failed-Recipients: gone@rcpt.example',
  ],
  'delivery-status',
  [
    { type: 'text/plain; charset=UTF-8', lines: ['** Address not found **', ''] },
    {
      type: 'message/delivery-status',
      lines: [
        'Reporting-MTA: dns; googlemail.com',
        'Arrival-Date: Sun, 22 Nov 2026 01:00:00 -0800 (PST)',
        'X-Original-Message-ID: <orig@sender.example>',
        '',
        'Final-Recipient: rfc822; gone@rcpt.example',
        'Action: failed',
        'Status: 5.1.1',
        'Diagnostic-Code: smtp; 550-5.1.1 The email account that you tried to reach does not exist.',
        ' 550 5.1.1  https://support.google.com/mail/?p=NoSuchUser',
        'Last-Attempt-Date: Sun, 22 Nov 2026 01:00:01 -0800 (PST)',
        '',
      ],
    },
    { type: 'message/rfc822', lines: [...RETURNED, '', '----- Message truncated -----', ''] },
  ],
)

export const EXCHANGE = report(
  [
    'From: <postmaster@outlook.example>',
    'To: <ada@sender.example>',
    'Subject: Undeliverable: Offer',
    'Auto-Submitted: auto-replied',
    'In-Reply-To: <orig@sender.example>',
    'References: <orig@sender.example>',
  ],
  'delivery-status',
  [
    { type: 'text/html; charset="us-ascii"', lines: ['<p>gone wasn’t found at rcpt.example</p>'] },
    {
      type: 'message/delivery-status',
      lines: [
        'Reporting-MTA: dns;AM0PR01.eurprd01.prod.exchangelabs.com',
        'Received-From-MTA: dns;mail.sender.example',
        '',
        'Final-Recipient: rfc822;gone@rcpt.example',
        'Action: failed',
        'Status: 5.1.10',
        'Diagnostic-Code: smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup',
        'X-Display-Name: gone@rcpt.example',
        '',
      ],
    },
    { type: 'message/rfc822', lines: [...RETURNED, '', 'Hello.'] },
  ],
)

export const EXIM = mail(
  [
    'From: Mail Delivery System <Mailer-Daemon@mx.example>',
    'Return-Path: <>',
    'X-Failed-Recipients: gone@rcpt.example',
    'Auto-Submitted: auto-replied',
    'Subject: Mail delivery failed: returning message to sender',
  ],
  [
    'This message was created automatically by mail delivery software.',
    '',
    'A message that you sent could not be delivered to one or more of its recipients.',
    '',
    '  gone@rcpt.example',
    '    host in.rcpt.example [192.0.2.1]',
    '    SMTP error from remote mail server after RCPT TO:<gone@rcpt.example>:',
    '    550 Unrouteable address',
    '',
    '------ This is a copy of the message, including all the headers. ------',
    '',
    'Return-path: <ada@sender.example>',
    ...RETURNED,
  ],
)

export const QMAIL = mail(
  ['Return-Path: <>', 'From: MAILER-DAEMON@mx.example', 'To: ada@sender.example', 'Subject: failure notice'],
  [
    'Hi. This is the qmail-send program at mx.example.',
    "I'm afraid I wasn't able to deliver your message to the following addresses.",
    "This is a permanent error; I've given up. Sorry it didn't work out.",
    '',
    '<gone@rcpt.example>:',
    'Sorry, no mailbox here by that name. (#5.1.1)',
    '',
    '--- Below this line is a copy of the message.',
    '',
    'Return-Path: <ada@sender.example>',
    ...RETURNED,
  ],
)

export const SENDMAIL = report(
  [
    'From: Mail Delivery Subsystem <MAILER-DAEMON@mx.example>',
    'Subject: Warning: could not send message for past 4 hours',
    'Auto-Submitted: auto-generated (warning-timeout)',
  ],
  'delivery-status',
  [
    { type: 'text/plain', lines: ['** THIS IS A WARNING MESSAGE ONLY **', '451 4.4.1 timeout'] },
    {
      type: 'message/delivery-status',
      lines: [
        'Reporting-MTA: dns; mx.example',
        '',
        'Final-Recipient: RFC822; gone@rcpt.example',
        'Action: delayed',
        'Status: 4.4.1',
        'Will-Retry-Until: Fri, 27 Nov 2026 09:00:00 GMT',
        '',
      ],
    },
    { type: 'text/rfc822-headers', lines: [...RETURNED, ''] },
  ],
)

export const LONELY_STATUS = report(['From: MAILER-DAEMON@mx.example', 'Subject: Returned mail'], 'delivery-status', [
  {
    type: 'message/delivery-status',
    lines: [
      'Reporting-MTA: dns; mx.example',
      '',
      'Final-Recipient: rfc822; gone@rcpt.example',
      'Action: failed',
      'Status: 5.1.1',
      '',
    ],
  },
])

/** In the Abuse Reporting Format, from whoever passes complaints on. */
export function COMPLAINT(feedbackType: string, recipient: string | null = 'gone@rcpt.example'): Buffer {
  return report(['From: <feedback@provider.example>', 'Subject: FW: Offer'], 'feedback-report', [
    { type: 'text/plain', lines: ['This is an email abuse report.', ''] },
    {
      type: 'message/feedback-report',
      lines: [
        `Feedback-Type: ${feedbackType}`,
        'User-Agent: Provider-FBL/1.0',
        'Version: 1',
        'Original-Mail-From: <ada@sender.example>',
        ...(recipient ? [`Original-Rcpt-To: <${recipient}>`] : []),
        'Source-IP: 192.0.2.1',
        'Reported-Domain: sender.example',
        '',
      ],
    },
    { type: 'message/rfc822', lines: [...RETURNED, '', 'Hello.', ''] },
  ])
}

export const READ_RECEIPT = report(['From: gone@rcpt.example', 'Subject: Read: Offer'], 'disposition-notification', [
  { type: 'text/plain', lines: ['Your message was read.'] },
  {
    type: 'message/disposition-notification',
    lines: [
      'Final-Recipient: rfc822;gone@rcpt.example',
      'Original-Message-ID: <orig@sender.example>',
      'Disposition: manual-action/MDN-sent-manually; displayed',
    ],
  },
])
