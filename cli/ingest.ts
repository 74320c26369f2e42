import { SingleBar } from 'cli-progress'
import { findDemoOwner } from '#platform/contracts/demo.ts'
import { AppError } from '#platform/errors.ts'
import type { GatewayClient } from '#platform/graph/gatewayClient.ts'
import { localEnvironment } from '#platform/local/environment.ts'
import { readLocalSettings } from '#platform/local/settings.ts'
import { adviceFor, CliProblem } from './commandLine.ts'
import { type IngestRequest, parseIngestArguments, USAGE } from './ingest/arguments.ts'
import { countMails, readMails } from './ingest/sources.ts'
import { Tally } from './ingest/tally.ts'
import { uploadMails } from './ingest/upload.ts'
import { makeLocalGraphClient } from './localClients.ts'

const MAILBOX = `query Mailbox($search: String!) { emailAccounts(first: 100, filter: { search: $search }) { nodes { id email } } }`

try {
  const request = parseIngestArguments(process.argv.slice(2))
  if (request === 'help') process.stdout.write(USAGE)
  else await ingest(request)
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n${adviceFor(error, 'ingest')}`)
  process.exitCode = 1
}

/** Mails already sent stay sent; the summary tells how far the run has come, also when it is cut short. */
async function ingest({ tenantId, mailbox, concurrency, paths }: IngestRequest): Promise<void> {
  const { dataDir, ports } = readLocalSettings()
  const { cli } = localEnvironment(dataDir, ports, process.env)
  const graph = makeLocalGraphClient(cli, tenantId, findDemoOwner(tenantId)?.id ?? null)
  await checkAnswers(graph)
  const emailAccountId = mailbox ? await findMailbox(graph, mailbox) : null
  const total = await countMails(paths)
  if (total === 0) throw new CliProblem(`no mail in ${paths.join(', ')}`)

  const tally = new Tally()
  const stopBar = startProgressBar(total, tally)
  const startedAt = performance.now()
  const printSummary = () => {
    stopBar()
    process.stdout.write(`${tally.summary((performance.now() - startedAt) / 1000).join('\n')}\n`)
  }
  process.once('SIGINT', () => {
    printSummary()
    process.exit(130)
  })
  try {
    await uploadMails(readMails(paths), { graph, emailAccountId, concurrency, tally })
  } finally {
    printSummary()
  }
}

/** Before anything is read: a platform that is away or knows no such tenant is told at once. */
async function checkAnswers(graph: GatewayClient): Promise<void> {
  const { errors } = await graph.ask('{ viewer { tenant { id } } }')
  if (errors[0]) throw new AppError(errors[0].code, errors[0].message)
}

async function findMailbox(graph: GatewayClient, email: string): Promise<string> {
  const { data, errors } = await graph.ask<{ emailAccounts: { nodes: { id: string; email: string }[] } }>(MAILBOX, {
    search: email,
  })
  const mailbox = data?.emailAccounts?.nodes.find((node) => node.email === email.toLowerCase())
  if (mailbox) return mailbox.id
  throw new AppError(errors[0]?.code ?? 'NOT_FOUND', errors[0]?.message ?? `the tenant has no mailbox ${email}`)
}

/** A bar where someone watches; a line every few seconds where the output is kept. */
function startProgressBar(total: number | null, tally: Tally): () => void {
  const bar = new SingleBar({
    format: '{bar} {value}/{total} mails | {rate}/s',
    noTTYOutput: true,
    notTTYSchedule: 5_000,
    stream: process.stderr,
    hideCursor: true,
  })
  const startedAt = performance.now()
  const rate = () => ((tally.total / (performance.now() - startedAt)) * 1000).toFixed(0)
  bar.start(total ?? 1, 0, { rate: 0 })
  const timer = setInterval(() => {
    if (total === null) bar.setTotal(Math.max(1, tally.total))
    bar.update(tally.total, { rate: rate() })
  }, 200)
  return () => {
    clearInterval(timer)
    bar.update(tally.total, { rate: rate() })
    bar.stop()
  }
}
