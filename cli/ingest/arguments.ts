import { parseArgs } from 'node:util'
import { CliProblem, readTenant } from '../commandLine.ts'

export const USAGE = `npm run ingest -- [options] PATH…

Feeds raw mail through the running platform's mail flow. PATH is an .eml file, an mbox file, a folder of them,
or the word corpus: 6,046 real mails of the SpamAssassin corpus.

  --tenant demo|rival|UUID   whose mail it is (default demo)
  --mailbox EMAIL            the mailbox that receives it (default: the recipient's, else the tenant's default one)
  --concurrency N            mails on their way at once, 1 to 64 (default 16)
`

export type IngestRequest = { tenantId: string; mailbox: string | null; concurrency: number; paths: string[] }

/** @throws CliProblem naming what is wrong */
export function parseIngestArguments(args: string[]): IngestRequest | 'help' {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      tenant: { type: 'string', default: 'demo' },
      mailbox: { type: 'string' },
      concurrency: { type: 'string', default: '16' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) return 'help'
  if (positionals.length === 0) throw new CliProblem('name at least one PATH, or corpus')
  const concurrency = Number(values.concurrency)
  if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > 64) {
    throw new CliProblem(`--concurrency is a whole number from 1 to 64, not ${values.concurrency}`)
  }
  return { tenantId: readTenant(values.tenant), mailbox: values.mailbox ?? null, concurrency, paths: positionals }
}
