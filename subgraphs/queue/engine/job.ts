/** A job in work, as its task sees it. */
export type ClaimedJob = {
  id: string
  tenantId: string
  queueName: string
  jobType: string
  payload: unknown
  /** Its length as JSON, in characters. */
  payloadLength: number
  /** When it was enqueued, in milliseconds since 1970. */
  queuedAtMs: number
  /** How long it had been due when it was claimed, in whole milliseconds. */
  waitMs: number
  /** This attempt's number, from 1. */
  attempt: number
  maxAttempts: number
  correlationId: string | null
  userId: string | null
  subjectTypename: string | null
  subjectId: string | null
  /** Under which it is held: an acknowledgement under a lease that was taken away changes nothing. */
  leaseId: string
  /** Its place in the lease, from 1. */
  position: number
  /** How long this attempt may run, in milliseconds. */
  timeoutMs: number
}

/** What identifies a job to be settled: its place under its lease; the id is for whoever waits for the answer. */
export type HeldJob = Pick<ClaimedJob, 'id' | 'leaseId' | 'position'>
