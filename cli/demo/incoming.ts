import { readFile } from 'node:fs/promises'
import { corpusFiles, type RawMail, withoutFromLine } from '../ingest/sources.ts'
import { withHeaders } from './headers.ts'
import type { SentMail } from './history.ts'
import type { Random } from './random.ts'

/** `count` real mails of the corpus, the same ones for the same seed, none twice. */
export async function pickCorpusMails(random: Random, count: number): Promise<RawMail[]> {
  const files = random.fake.helpers.arrayElements(await corpusFiles(), count)
  return Promise.all(files.map(async ({ name, path }) => ({ name, raw: withoutFromLine(await readFile(path)) })))
}

/**
 * Real mails turned into replies: each keeps its body and becomes the lead's answer to one of the sent mails,
 * recognisable by In-Reply-To as a mail client writes it.
 */
export function makeReplies(random: Random, mails: readonly RawMail[], answered: readonly SentMail[]): RawMail[] {
  const delivered = answered.filter(({ item }) => !('bouncedAt' in item))
  return random.fake.helpers.arrayElements(delivered, mails.length).map((sent, index) => {
    const mail = mails[index] as RawMail
    const headers = {
      From: `"${sent.lead.name}" <${sent.lead.email}>`,
      To: sent.mailbox.email,
      Subject: 'Re: your mail',
      'Message-ID': `<re.${sent.item.id}@${sent.lead.email.split('@')[1]}>`,
      'In-Reply-To': sent.messageId,
      References: sent.messageId,
    }
    return { name: `reply to ${sent.item.id} (${mail.name})`, raw: withHeaders(mail.raw, headers) }
  })
}
