import { z } from 'zod'
import { type Bind, within } from './conditions.ts'

const span = z.object({ from: z.coerce.date(), to: z.coerce.date() })

/** How a job may have ended other than well. */
export const ENDED_BADLY = ['failed', 'cancelled', 'expired'] as const
export type EndedBadly = (typeof ENDED_BADLY)[number]

/** Which jobs, as a job's payload carries it. Every condition given must hold. */
export const jobFilter = z.object({
  tenantId: z.guid().nullish(),
  queueName: z.string().nullish(),
  jobType: z.string().nullish(),
  correlationId: z.string().nullish(),
  campaignId: z.guid().nullish(),
  /** Lowest and highest number. */
  priority: z.object({ from: z.number().int(), to: z.number().int() }).nullish(),
  queued: span.nullish(),
  updated: span.nullish(),
  /** Holds at least this. */
  payload: z.record(z.string(), z.unknown()).nullish(),
})
export type JobFilterFacts = z.output<typeof jobFilter>

/** The filter in SQL over `jobs j`, but for tenant and payload: where these belong depends on the statement. */
export function jobConditions(filter: JobFilterFacts, bind: Bind): string[] {
  const conditions: string[] = []
  if (filter.queueName != null) conditions.push(`j.queue_name = ${bind(filter.queueName)}`)
  if (filter.jobType != null) conditions.push(`j.job_type = ${bind(filter.jobType)}`)
  if (filter.correlationId != null) conditions.push(`j.correlation_id = ${bind(filter.correlationId)}`)
  if (filter.campaignId != null) conditions.push(`j.campaign_id = ${bind(filter.campaignId)}::uuid`)
  if (filter.priority != null) {
    conditions.push(`j.priority BETWEEN ${bind(filter.priority.from)} AND ${bind(filter.priority.to)}`)
  }
  if (filter.queued != null) conditions.push(within('j.queued_at', filter.queued, bind))
  if (filter.updated != null) conditions.push(within('j.updated_at', filter.updated, bind))
  return conditions
}
