import type { ServiceClient } from '#platform/graph/serviceClient.ts'
import type { Log } from '#platform/log.ts'
import type { Sql } from './engine/sql.ts'

/** The analytics tier's name for what this worker keeps moving. */
const PIPELINE = 'email_events'

const FRONTIER = `query OutboxFrontier { outboxFrontier }`
const ADVANCE = `mutation AdvanceWatermark($pipeline: String!, $upTo: DateTime!) {
  advanceWatermark(pipeline: $pipeline, upTo: $upTo)
}`

// A job nobody has done yet holds the watermark back, whether it waits, is in work or, given up, waits for a person.
const OLDEST_UNCOUNTED = `
  SELECT least(
    (SELECT min(accepted_at) FROM jobs WHERE job_type = 'rollUpEvents' AND status = 'queued'),
    (SELECT min(accepted_at) FROM dead_letter_jobs WHERE job_type = 'rollUpEvents' AND NOT is_resolved)) AS oldest`

export type WatermarkOptions = { sql: Sql; oltp: ServiceClient; analytics: ServiceClient; log: Log; everyMs?: number }

/**
 * Moves the analytics tier's watermark to the instant up to which every accepted event is counted; answers it, or null
 * while that can't be told. The outbox is asked before the queue: an event that leaves the one for the other in between
 * is then seen in the other.
 */
export async function advanceWatermark({ sql, oltp, analytics }: WatermarkOptions): Promise<Date | null> {
  const { outboxFrontier } = await oltp.request<{ outboxFrontier: string | null }>(FRONTIER)
  if (outboxFrontier === null) return null
  const { rows } = await sql.query<{ oldest: Date | null }>(OLDEST_UNCOUNTED)
  const frontier = new Date(outboxFrontier)
  const oldest = rows[0]?.oldest
  const upTo = oldest && oldest < frontier ? oldest : frontier
  await analytics.request(ADVANCE, { pipeline: PIPELINE, upTo: upTo.toISOString() })
  return upTo
}

/** Does so every second. Several workers may: a watermark never goes back. */
export function startWatermark(options: WatermarkOptions): { stop: () => Promise<void> } {
  const { log, everyMs = 1_000 } = options
  let running: Promise<void> = Promise.resolve()
  let isAtIt = false
  let isStuck = false
  const tick = async () => {
    isAtIt = true
    try {
      await advanceWatermark(options)
      if (isStuck) log.info('the watermark moves again')
      isStuck = false
    } catch (error) {
      if (!isStuck) log.warn({ err: error }, 'the watermark cannot be moved now')
      isStuck = true
    }
    isAtIt = false
  }
  const timer = setInterval(() => {
    if (!isAtIt) running = tick()
  }, everyMs)
  return {
    stop: async () => {
      clearInterval(timer)
      await running
    },
  }
}
