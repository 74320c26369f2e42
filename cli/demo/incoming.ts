import { readFile } from 'node:fs/promises'
import { corpusFiles, type RawMail, withoutFromLine } from '../ingest/sources.ts'
import { withHeaders } from './headers.ts'
import type { Answerable } from './history.ts'
import type { Random } from './random.ts'

/** `count` real mails of the corpus (`ham`: written by people, not advertisements), the same ones for the same seed; none twice as long as the corpus has others. */
export async function* pickCorpusMails(random: Random, kind: 'ham' | 'any', count: number): AsyncGenerator<RawMail> {
  const corpus = await corpusFiles()
  const files = random.fake.helpers.shuffle(
    kind === 'any' ? corpus : corpus.filter(({ name }) => name.startsWith('corpus/easy-ham')),
  )
  for (let index = 0; index < count; index++) {
    const file = files[index % files.length]
    if (file) yield { name: file.name, raw: withoutFromLine(await readFile(file.path)) }
  }
}

/**
 * A real mail turned into a reply: it keeps its body and becomes the lead's answer to a sent mail, recognisable by
 * In-Reply-To as a mail client writes it.
 */
export function makeReply(mail: RawMail, answered: Answerable): RawMail {
  const headers = {
    From: `"${answered.lead.name}" <${answered.lead.email}>`,
    To: answered.mailbox,
    Subject: `Re: ${answered.subject}`,
    'Message-ID': `<re.${answered.id}@${answered.lead.email.split('@')[1]}>`,
    'In-Reply-To': answered.messageId,
    References: answered.messageId,
  }
  return { name: `reply to ${answered.id} (${mail.name})`, raw: withHeaders(mail.raw, headers) }
}
