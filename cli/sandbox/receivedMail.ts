import { Parser } from 'htmlparser2'
import { simpleParser } from 'mailparser'

/** A mail as its recipient has it. */
export type ReceivedMail = {
  raw: Buffer
  /** MAIL FROM. */
  sender: string
  recipient: string
  /** When it was taken, by the business clock. */
  receivedAt: Date
  messageId: string | null
  references: string[]
  subject: string
  /** Where a person's answer goes. */
  from: { name: string; address: string }
  /** What the mail calls its recipient. */
  toName: string
  text: string
  images: string[]
  links: string[]
  /** Where one click unsubscribes (RFC 8058); null when the mail offers none. */
  oneClickUrl: string | null
}

type Envelope = Pick<ReceivedMail, 'raw' | 'sender' | 'recipient' | 'receivedAt'>

/** Reads what a recipient sees in a mail, and what its program can do with it. */
export async function readReceivedMail(envelope: Envelope): Promise<ReceivedMail> {
  const mail = await simpleParser(envelope.raw)
  const header = (name: string) => mail.headerLines.find(({ key }) => key === name)?.line ?? ''
  const from = (mail.replyTo ?? mail.from)?.value[0]
  const toFields = [mail.to ?? []].flat().flatMap(({ value }) => value)
  const html = typeof mail.html === 'string' ? readHtml(mail.html) : null
  const text = mail.text ?? ''
  return {
    ...envelope,
    messageId: mail.messageId ?? null,
    references: [mail.references ?? []].flat(),
    subject: mail.subject ?? '',
    from: { name: from?.name ?? '', address: from?.address || envelope.sender },
    toName: toFields.find(({ address }) => address?.toLowerCase() === envelope.recipient)?.name ?? '',
    text,
    images: html?.images ?? [],
    links: html?.links ?? text.match(/https?:\/\/[^\s<>"]+/g) ?? [],
    oneClickUrl: header('list-unsubscribe-post')
      ? (/<(https?:[^>\s]+)>/.exec(header('list-unsubscribe'))?.[1] ?? null)
      : null,
  }
}

function readHtml(html: string): { images: string[]; links: string[] } {
  const images: string[] = []
  const links: string[] = []
  const parser = new Parser({
    onopentag(name, { src, href }) {
      if (name === 'img' && src) images.push(src)
      if (name === 'a' && href) links.push(href)
    },
  })
  parser.end(html)
  return { images, links: [...new Set(links)] }
}
