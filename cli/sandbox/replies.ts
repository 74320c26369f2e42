import MailComposer from 'nodemailer/lib/mail-composer/index.js'
import { now } from '#platform/clock.ts'
import { pickOne, throwDice } from './dice.ts'
import type { ReceivedMail } from './receivedMail.ts'
import { type Answer, makeMessageId } from './reports.ts'

const REPLIES = [
  'Sounds interesting. Could you send me some more details?',
  'Thanks for reaching out. We have just signed with somebody else, but do come back in spring.',
  'Not interested, sorry.',
  'Can we talk on Thursday? Any time after two works for me.',
  'I am not the right person for this. Please write to our operations team.',
  'How much is it for a team of twelve?',
  'Who else in our industry uses it?',
  'Thank you, but we are all set at the moment.',
] as const

/** A person's answer, with what it answers quoted below as mail programs do. */
export async function makeReply(mail: ReceivedMail, seed: string): Promise<Answer> {
  const dice = (what: string) => throwDice(seed, what, mail.recipient, mail.messageId ?? '')
  const said = pickOne(dice('words'), REPLIES)
  const introduce = pickOne(dice('program'), [introduceLikeGmail, introduceLikeApple])
  const introduction = introduce(mail)
  const quoted = mail.text.trimEnd().replaceAll(/^/gm, '> ')
  const html =
    `<div dir="ltr">${escapeHtml(said)}</div><br><div class="gmail_quote">` +
    `<div dir="ltr" class="gmail_attr">${escapeHtml(introduction)}<br></div>` +
    `<blockquote class="gmail_quote" style="margin:0 0 0 .8ex;border-left:1px solid #ccc;padding-left:1ex">` +
    `${escapeHtml(mail.text.trimEnd()).replaceAll('\n', '<br>\n')}</blockquote></div>`
  return compose(mail, {
    kind: 'reply',
    sender: mail.recipient,
    subject: /^re:/i.test(mail.subject) ? mail.subject : `Re: ${mail.subject}`,
    text: `${said}\n\n${introduction}\n\n${quoted}\n`,
    html,
  })
}

/** What a mail program answers for somebody who is away. */
export async function makeAutoReply(mail: ReceivedMail): Promise<Answer> {
  return compose(mail, {
    kind: 'auto',
    // Nobody is to answer it (RFC 3834).
    sender: '',
    subject: `Automatic reply: ${mail.subject}`,
    text: 'Thank you for your mail. I am out of the office and will read it when I am back.\n',
    headers: { 'Auto-Submitted': 'auto-replied', 'X-Auto-Response-Suppress': 'All', Precedence: 'auto_reply' },
  })
}

type Composed = {
  kind: string
  sender: string
  subject: string
  text: string
  html?: string
  headers?: Record<string, string>
}

async function compose(mail: ReceivedMail, { kind, sender, ...content }: Composed): Promise<Answer> {
  const { messageId, from, toName, recipient } = mail
  const raw = await new MailComposer({
    ...content,
    from: toName ? { name: toName, address: recipient } : recipient,
    to: from.name ? from : from.address,
    date: now(),
    messageId: makeMessageId(kind, mail),
    ...(messageId && { inReplyTo: messageId, references: [...mail.references, messageId] }),
  })
    .compile()
    .build()
  return { sender, recipient: from.address, raw }
}

/** `On Thu, Nov 26, 2026 at 9:05 AM Ada Penguin <ada@demo.example> wrote:` */
function introduceLikeGmail({ from, receivedAt }: ReceivedMail): string {
  const day = format(receivedAt, { weekday: 'short', month: 'short', day: 'numeric', year: 'numeric' })
  const time = format(receivedAt, { hour: 'numeric', minute: '2-digit' })
  return `On ${day} at ${time} ${nameOf(from)}wrote:`
}

/** `On 26 Nov 2026, at 09:05, Ada Penguin <ada@demo.example> wrote:` */
function introduceLikeApple({ from, receivedAt }: ReceivedMail): string {
  const [, day, month, year] = /^\w+, (\d+) (\w+) (\d+)/.exec(receivedAt.toUTCString()) ?? []
  return `On ${Number(day)} ${month} ${year}, at ${receivedAt.toISOString().slice(11, 16)}, ${nameOf(from)}wrote:`
}

function nameOf({ name, address }: ReceivedMail['from']): string {
  return name ? `${name} <${address}> ` : `<${address}> `
}

function format(at: Date, options: Intl.DateTimeFormatOptions): string {
  return new Intl.DateTimeFormat('en-US', { ...options, timeZone: 'UTC' }).format(at).replaceAll('\u202f', ' ')
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}
