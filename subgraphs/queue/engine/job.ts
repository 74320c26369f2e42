/** A job in work, as its task sees it. */
export type ClaimedJob = {
  id: string
  tenantId: string
  queueName: string
  jobType: string
  payload: unknown
  queuedAt: Date
  /** This attempt's number, from 1. */
  attempt: number
  maxAttempts: number
  correlationId: string | null
  userId: string | null
  subjectTypename: string | null
  subjectId: string | null
  /** Under which it is held: an acknowledgement under a lease that was taken away changes nothing. */
  leaseId: string
  /** How long this attempt may run, in milliseconds. */
  timeoutMs: number
}

/** What identifies a job to be settled, and under which lease. */
export type HeldJob = Pick<ClaimedJob, 'id' | 'tenantId' | 'leaseId'>
