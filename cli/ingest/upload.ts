import { setTimeout as sleep } from 'node:timers/promises'
import { AppError } from '#platform/errors.ts'
import type { GatewayClient } from '#platform/graph/gatewayClient.ts'
import type { RawMail } from './sources.ts'
import type { Tally } from './tally.ts'

const INGEST = `mutation Ingest($input: IngestMessageInput!) {
  ingestMessage(input: $input) { duplicate message { id parseStatus } }
}`
type Ingested = { ingestMessage: { duplicate: boolean; message: { id: string; parseStatus: string } } }

const ATTEMPTS = 6

/**
 * Sends every mail through `ingestMessage`, `concurrency` at a time, and records in `tally` what became of each.
 * A mail the platform refuses is recorded and passed over; a platform that stays unreachable ends the run.
 * @throws AppError UNAVAILABLE | UNAUTHENTICATED | FORBIDDEN | INTERNAL: nothing further was sent.
 */
export async function uploadMails(
  mails: AsyncIterable<RawMail> | Iterable<RawMail>,
  options: { graph: GatewayClient; emailAccountId: string | null; concurrency: number; tally: Tally },
): Promise<void> {
  const { graph, emailAccountId, concurrency, tally } = options
  const queue = Symbol.asyncIterator in mails ? mails[Symbol.asyncIterator]() : mails[Symbol.iterator]()
  let failed = false
  const lane = async () => {
    while (!failed) {
      const next = await queue.next()
      if (next.done) return
      await uploadMail(graph, next.value, emailAccountId, tally)
    }
  }
  const lanes = Array.from({ length: concurrency }, () =>
    lane().catch((error: unknown) => {
      failed = true
      throw error
    }),
  )
  const outcome = (await Promise.allSettled(lanes)).find((result) => result.status === 'rejected')
  if (outcome) throw outcome.reason
}

async function uploadMail(graph: GatewayClient, mail: RawMail, emailAccountId: string | null, tally: Tally) {
  const input = { raw: mail.raw.toString('base64'), emailAccountId }
  for (let attempt = 1; ; attempt++) {
    const { data, error } = await askOnce(graph, input)
    if (data) return tally.record(mail.name, data.ingestMessage)
    const { retryAfterSeconds } = error.extensions
    if (typeof retryAfterSeconds === 'number') {
      // Too many a minute is no fault of this mail.
      await sleep(retryAfterSeconds * 1_000)
      attempt--
      continue
    }
    if (error.code === 'INVALID_INPUT' || error.code === 'LIMIT_REACHED') return tally.reject(mail.name, error.message)
    // Storing is idempotent, so an answer that got lost is simply asked for again.
    if (error.code !== 'UNAVAILABLE' || attempt === ATTEMPTS) throw error
    await sleep(100 * 2 ** attempt)
  }
}

async function askOnce(
  graph: GatewayClient,
  input: Record<string, unknown>,
): Promise<{ data: Ingested; error?: never } | { data?: never; error: AppError }> {
  try {
    const { data, errors } = await graph.ask<Ingested>(INGEST, { input })
    if (data?.ingestMessage) return { data }
    const { code = 'INTERNAL', message = 'the graph gave no answer', retryAfterSeconds } = errors[0] ?? {}
    return { error: new AppError(code, message, { extensions: { retryAfterSeconds } }) }
  } catch (error) {
    if (error instanceof AppError) return { error }
    throw error
  }
}
