import { createHash } from 'node:crypto'
import MimeNode from 'nodemailer/lib/mime-node/index.js'
import { now } from '#platform/clock.ts'
import { pickOne, throwDice } from './dice.ts'
import type { ReceivedMail } from './receivedMail.ts'

/** A mail that goes back to the platform. */
export type Answer = { sender: string; recipient: string; raw: Buffer }

type Reason = { status: string; text: string }

const HARD: readonly Reason[] = [
  { status: '5.1.1', text: 'The email account that you tried to reach does not exist' },
  { status: '5.1.10', text: 'Recipient address rejected: no such recipient' },
  { status: '5.2.1', text: 'The mailbox is disabled and does not accept mail' },
]
const SOFT: readonly Reason[] = [
  { status: '4.2.2', text: 'The mailbox is over its quota' },
  { status: '4.4.1', text: 'No answer from the host' },
  { status: '4.7.1', text: 'Temporarily refused by policy' },
]

/** The report (RFC 3464) that a mail could not be delivered, for good or until its server gave up. */
export async function makeBounceReport(mail: ReceivedMail, type: 'hard' | 'soft', seed: string): Promise<Answer> {
  const { recipient, sender, receivedAt } = mail
  const host = mailHostOf(recipient)
  const dice = throwDice(seed, 'status', recipient, mail.messageId ?? '')
  const { status, text } = pickOne(dice, type === 'hard' ? HARD : SOFT)
  const reply = `${type === 'hard' ? 550 : 452} ${status} ${text}`
  const report = makeReport('delivery-status', {
    from: `Mail Delivery System <mailer-daemon@${host}>`,
    to: sender,
    subject: 'Undelivered Mail Returned to Sender',
    messageId: makeMessageId('dsn', mail),
  })
  report.setHeader('Auto-Submitted', 'auto-replied')
  report
    .createChild('text/plain; charset=utf-8')
    .setContent(
      `This is the mail system at host ${host}.\n\nYour message could not be delivered to one or more recipients.\n\n<${recipient}>: host ${host} said: ${reply}\n`,
    )
  report.createChild('message/delivery-status').setContent(
    fields([
      [`Reporting-MTA: dns; ${host}`, `Arrival-Date: ${rfc5322(receivedAt)}`],
      [
        `Final-Recipient: rfc822; ${recipient}`,
        `Original-Recipient: rfc822; ${recipient}`,
        'Action: failed',
        `Status: ${status}`,
        `Remote-MTA: dns; ${host}`,
        `Diagnostic-Code: smtp; ${reply}`,
      ],
    ]),
  )
  report.createChild('text/rfc822-headers').setContent(`${headOf(mail.raw)}\n`)
  return { sender: '', recipient: sender, raw: await report.build() }
}

/** The report (RFC 5965) by which a mail provider passes on that its user called a mail spam. */
export async function makeFeedbackReport(mail: ReceivedMail): Promise<Answer> {
  const { recipient, sender, receivedAt } = mail
  const host = mailHostOf(recipient)
  const report = makeReport('feedback-report', {
    from: `Feedback Loop <feedback@${host}>`,
    to: sender,
    subject: `FW: ${mail.subject}`,
    messageId: makeMessageId('arf', mail),
  })
  report
    .createChild('text/plain; charset=utf-8')
    .setContent(`This is an email abuse report for a message received on ${rfc5322(receivedAt)}.\n`)
  report
    .createChild('message/feedback-report')
    .setContent(
      fields([
        [
          'Feedback-Type: abuse',
          'User-Agent: Sandbox-Feedback-Loop/1.0',
          'Version: 1',
          `Original-Mail-From: <${sender}>`,
          `Original-Rcpt-To: <${recipient}>`,
          `Arrival-Date: ${rfc5322(receivedAt)}`,
          `Reporting-MTA: dns; ${host}`,
          'Source-IP: 127.0.0.1',
        ],
      ]),
    )
  report.createChild('message/rfc822').setContent(mail.raw)
  return { sender: `feedback@${host}`, recipient: sender, raw: await report.build() }
}

/** The same for the same answer to the same mail, so that a repeat of it is known. */
export function makeMessageId(kind: string, { recipient, messageId }: ReceivedMail): string {
  const hash = createHash('sha256').update(`${kind} ${recipient} ${messageId}`).digest('hex').slice(0, 32)
  return `<${kind}.${hash}@${mailHostOf(recipient)}>`
}

function makeReport(type: string, head: { from: string; to: string; subject: string; messageId: string }): MimeNode {
  const { from, to, subject, messageId } = head
  const report = new MimeNode(`multipart/report; report-type=${type}`)
  report.setHeader({ From: from, To: to, Subject: subject, 'Message-ID': messageId, Date: rfc5322(now()) })
  return report
}

/** Groups of fields, with an empty line after each. */
function fields(groups: readonly (readonly string[])[]): string {
  return groups.map((group) => `${group.join('\n')}\n`).join('\n')
}

function headOf(raw: Buffer): string {
  const text = raw.toString('latin1')
  const end = /\r?\n\r?\n/.exec(text)
  return Buffer.from(end ? text.slice(0, end.index) : text, 'latin1').toString()
}

function mailHostOf(recipient: string): string {
  return `mx.${recipient.split('@')[1] ?? 'sandbox.test'}`
}

function rfc5322(at: Date): string {
  return at.toUTCString().replace('GMT', '+0000')
}
