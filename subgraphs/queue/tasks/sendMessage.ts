import { mailDuePayload } from '#platform/contracts/sending.ts'
import { groupBy } from '#platform/grouping.ts'
import { RetryLater } from '../engine/failure.ts'
import type { ItemOutcome } from '../engine/task.ts'
import type { MailToSend, SendAttempt } from '../sending/mailSender.ts'
import { defineTask, type TaskServices } from './services.ts'

const BEGIN = `mutation BeginSending($mails: [MailToBeginInput!]!) {
  beginSending(input: { mails: $mails }) {
    tenantId messageId outcome reason attempt
    order { emailAccountId fromEmail toEmail contentStorageKey vaultKeyPath smtpSettings dkim { domain selector vaultKeyPath } }
  }
}`
const RAW = 'query RawMessages($storageKeys: [ID!]!) { rawMessages(storageKeys: $storageKeys) { storageKey raw } }'

type Order = MailToSend['order'] & { contentStorageKey: string }
type Begun = SendAttempt & { outcome: string; reason: string | null; order: Order | null }

/** Whoever else is at the same mail has had time for it then. */
const BUSY_MS = 120_000

/** Mails' texts of one call. */
const TEXTS_PER_CALL = 50

/**
 * Sends mails that are due: the oltp tier says which may leave, each is handed to its server, and the oltp tier is told
 * how that ended. What is to be tried again gets a job of its own then; this one is done.
 */
export const sendMessage = defineTask({
  jobType: 'sendMessage',
  queueName: 'email-sending',
  payload: mailDuePayload,
  batch: { size: 50, lingerMs: 10 },
  concurrency: 10,
  async run(items, { services, signal }) {
    // The job's tenant counts, whatever its payload says.
    const mails = items.map(({ job, payload }) => ({
      ...{ tenantId: job.tenantId, messageId: payload.messageId, jobId: job.id, isRepeat: job.attempt > 1 },
    }))
    const { beginSending } = await services.oltp.request<{ beginSending: Begun[] }>(BEGIN, { mails })
    const texts = await readTexts(services, beginSending)
    return Promise.all(beginSending.map((begun) => sendBegun(begun, texts, { services, signal })))
  },
})

async function sendBegun(
  { order, outcome, reason, tenantId, messageId, attempt }: Begun,
  texts: ReadonlyMap<string, Buffer>,
  { services, signal }: { services: TaskServices; signal: AbortSignal },
): Promise<ItemOutcome> {
  if (outcome === 'BUSY') return { kind: 'failed', error: new RetryLater('another job is at this mail', BUSY_MS) }
  if (outcome !== 'SEND' || !order) return { kind: 'completed', result: { outcome: outcome.toLowerCase(), reason } }
  const raw = texts.get(`${tenantId} ${order.contentStorageKey}`)
  if (!raw) return { kind: 'failed', error: new Error('the content tier has no text of this mail') }
  try {
    const sent = await services.mail.send({ tenantId, messageId, attempt, order, raw }, signal)
    return { kind: 'completed', result: { outcome: sent.outcome.toLowerCase(), status: sent.status } }
  } catch (error) {
    return { kind: 'failed', error }
  }
}

/** The texts of mails that may leave, by tenant and storage key. */
async function readTexts({ content }: TaskServices, begun: readonly Begun[]): Promise<Map<string, Buffer>> {
  const texts = new Map<string, Buffer>()
  const leaving = begun.filter(({ outcome }) => outcome === 'SEND')
  const read = async ([tenantId, own]: [string, Begun[]]) => {
    const keys = [...new Set(own.flatMap(({ order }) => order?.contentStorageKey ?? []))]
    for (let from = 0; from < keys.length; from += TEXTS_PER_CALL) {
      type Answer = { rawMessages: ({ storageKey: string; raw: string } | null)[] }
      const storageKeys = keys.slice(from, from + TEXTS_PER_CALL)
      const { rawMessages } = await content.request<Answer>(RAW, { storageKeys }, { tenantId })
      for (const mail of rawMessages) {
        if (mail) texts.set(`${tenantId} ${mail.storageKey}`, Buffer.from(mail.raw, 'base64'))
      }
    }
  }
  await Promise.all([...groupBy(leaving, ({ tenantId }) => tenantId)].map(read))
  return texts
}
