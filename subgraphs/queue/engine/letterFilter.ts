import { z } from 'zod'
import { type Bind, within } from './conditions.ts'

const span = z.object({ from: z.coerce.date(), to: z.coerce.date() })

/** Which dead letters, as a job's payload carries it. Every condition given must hold. */
export const letterFilter = z.object({
  tenantId: z.guid().nullish(),
  ids: z.array(z.guid()).max(1_000).nullish(),
  queueName: z.string().nullish(),
  jobType: z.string().nullish(),
  errorFingerprint: z.string().nullish(),
  created: span.nullish(),
})
export type LetterFilter = z.output<typeof letterFilter>

/** The filter in SQL over `dead_letter_jobs l`. Without a tenant it reaches all, as only the system role can. */
export function letterConditions(filter: LetterFilter, bind: Bind): string {
  const conditions = ['true']
  if (filter.tenantId != null) conditions.push(`l.tenant_id = ${bind(filter.tenantId)}::uuid`)
  if (filter.ids != null) conditions.push(`l.id = ANY(${bind(filter.ids)}::uuid[])`)
  if (filter.queueName != null) conditions.push(`l.queue_name = ${bind(filter.queueName)}`)
  if (filter.jobType != null) conditions.push(`l.job_type = ${bind(filter.jobType)}`)
  if (filter.errorFingerprint != null) conditions.push(`l.error_fingerprint = ${bind(filter.errorFingerprint)}`)
  if (filter.created != null) conditions.push(within('l.created_at', filter.created, bind))
  return conditions.join(' AND ')
}
