import { type Logger, pino } from 'pino'
import type { Caller } from '#platform/caller/caller.ts'

export type Log = Logger

/** JSON lines on stdout, one per event, each naming its service. Levels as in pino. */
export function makeLog(service: string, level: string = process.env.LOG_LEVEL ?? 'info'): Log {
  return pino({
    level,
    base: { service },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    // A connection string in an error's properties carries a password.
    redact: { paths: ['*.connectionString', '*.password', '*.authorization', '*["x-penguin-caller"]'], censor: '…' },
  })
}

/** A log whose lines carry the ids that join one request's lines across processes. */
export function logForCaller(log: Log, caller: Caller): Log {
  return log.child({
    request: caller.requestId,
    ...(caller.tenantId && { tenant: caller.tenantId }),
    ...(caller.userId && { user: caller.userId }),
  })
}

/** A log whose lines carry the job they belong to; `request` is the job's correlation id. */
export function logForJob(log: Log, job: { id: string; tenantId: string; correlationId?: string | null }): Log {
  return log.child({ job: job.id, tenant: job.tenantId, ...(job.correlationId && { request: job.correlationId }) })
}
