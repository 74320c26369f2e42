import { AppError } from '../errors.ts'
import type { ServiceClient } from '../graph/serviceClient.ts'

/** One job as the queue tier takes it; (tenantId, source, key) makes a repeat harmless. */
export type JobToEnqueue = {
  tenantId: string
  /** Who chose the key: a tier's name. */
  source: string
  key: string
  queueName: string
  jobType: string
  payload: Record<string, unknown>
  priority?: number
  runAt?: Date | null
  delayMs?: number | null
  /** Worthless after. */
  expiresAt?: Date | null
  /** Jobs of one tenant and queue with the same key are one, for as long as the window lasts or the job has not ended. */
  uniqueKey?: string | null
  uniqueForSeconds?: number | null
  uniquePolicy?: 'keep' | 'replace' | 'reject' | null
  /** What limits per key count by, such as a mailbox. */
  concurrencyKey?: string | null
  correlationId?: string | null
  userId?: string | null
  subjectTypename?: string | null
  subjectId?: string | null
  campaignId?: string | null
}

export type EnqueueAnswer = {
  key: string
  status: 'enqueued' | 'duplicate' | 'replaced' | 'rejected'
  error?: string | null
}

/** Hands jobs to the queue and answers for each. Throws when none of them was looked at. */
export type DeliverJobs = (jobs: readonly JobToEnqueue[]) => Promise<readonly EnqueueAnswer[]>

/** What became of one event: gone, refused for good, or to be tried again. */
export type DeliveryOutcome = { kind: 'delivered' } | { kind: 'refused' | 'failed'; error: string }

const DELIVERY_TIMEOUT_MS = 8_000

const ENQUEUE_JOBS = `mutation EnqueueJobs($jobs: [EnqueueJobInput!]!) {
  enqueueJobs(jobs: $jobs) { key status error }
}`

/** Delivers over the graph, to the queue tier's internal mutation. */
export function deliverOverGraph(queue: ServiceClient): DeliverJobs {
  return async (jobs) => {
    type Answer = { enqueueJobs: { key: string; status: string; error: string | null }[] }
    const asked = jobs.map((job) => ({ ...job, uniquePolicy: job.uniquePolicy?.toUpperCase() }))
    const data = await queue.request<Answer>(ENQUEUE_JOBS, { jobs: asked }, { timeoutMs: DELIVERY_TIMEOUT_MS })
    return data.enqueueJobs.map(({ key, status, error }) => ({
      key,
      status: status.toLowerCase() as EnqueueAnswer['status'],
      error,
    }))
  }
}

/** A larger call may be cut off before the queue can say why, and look like a queue that is away. */
const CALL_BYTES = 4 * 1024 * 1024

/**
 * The outcome of each job, by key, in calls of at most 4 MiB; a job larger than that is refused here. A call that is
 * refused as a whole is halved until the job that spoils it stands alone; a queue that doesn't answer fails its whole
 * call. Never throws.
 */
export async function deliverEach(
  jobs: readonly JobToEnqueue[],
  deliver: DeliverJobs,
): Promise<Map<string, DeliveryOutcome>> {
  const outcomes = new Map<string, DeliveryOutcome>()
  let call: JobToEnqueue[] = []
  let callBytes = 0
  const send = async () => {
    if (call.length > 0) for (const [key, outcome] of await deliverCall(call, deliver)) outcomes.set(key, outcome)
    call = []
    callBytes = 0
  }
  for (const job of jobs) {
    const bytes = Buffer.byteLength(JSON.stringify(job))
    if (bytes > CALL_BYTES) {
      outcomes.set(job.key, { kind: 'refused', error: `the event is larger than ${CALL_BYTES} bytes` })
      continue
    }
    if (callBytes + bytes > CALL_BYTES) await send()
    call.push(job)
    callBytes += bytes
  }
  await send()
  return outcomes
}

async function deliverCall(jobs: readonly JobToEnqueue[], deliver: DeliverJobs): Promise<Map<string, DeliveryOutcome>> {
  try {
    const answers = new Map((await deliver(jobs)).map((answer) => [answer.key, answer]))
    return new Map(jobs.map(({ key }) => [key, readAnswer(answers.get(key))]))
  } catch (error) {
    const spoiled = error instanceof AppError && (error.code === 'INVALID_INPUT' || error.code === 'LIMIT_REACHED')
    if (spoiled && jobs.length > 1) {
      const middle = Math.ceil(jobs.length / 2)
      const first = await deliverCall(jobs.slice(0, middle), deliver)
      const second = await deliverCall(jobs.slice(middle), deliver)
      return new Map([...first, ...second])
    }
    const outcome: DeliveryOutcome = { kind: spoiled ? 'refused' : 'failed', error: messageOf(error) }
    return new Map(jobs.map(({ key }) => [key, outcome]))
  }
}

function readAnswer(answer: EnqueueAnswer | undefined): DeliveryOutcome {
  if (answer === undefined) return { kind: 'failed', error: 'the queue did not answer for this event' }
  if (answer.status === 'rejected') return { kind: 'refused', error: answer.error ?? 'rejected by the queue' }
  return { kind: 'delivered' }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
