import type {
  DeadLetterJob,
  Job,
  JobMetric,
  JobQueue,
  QueueAlert,
  QueueAlertHistory,
  ScheduledJob,
  Worker,
} from '#prisma/queue'

// Enum-like columns are TEXT + CHECK in the database; GraphQL's lower-case values are exactly those.
type Status = 'queued' | 'processing' | 'completed' | 'failed' | 'cancelled' | 'expired'

export type JobRow = Omit<Job, 'status'> & { status: Status }
export type QueueRow = JobQueue
export type DeadLetterRow = DeadLetterJob
export type ScheduledJobRow = Omit<ScheduledJob, 'overlapPolicy' | 'missedRunPolicy'> & {
  overlapPolicy: 'skip' | 'allow'
  missedRunPolicy: 'skip' | 'run_once' | 'run_all'
}
export type WorkerRow = Worker
export type JobMetricRow = Omit<JobMetric, 'granularity'> & { granularity: 'minute' | 'hour' }
export type AlertRow = Omit<QueueAlert, 'alertType' | 'severity'> & {
  alertType: 'high_pending' | 'slow_processing' | 'high_error_rate' | 'worker_offline' | 'backlog_age' | 'dead_letters'
  severity: 'info' | 'warning' | 'critical'
}
export type FiringRow = QueueAlertHistory & { alert: AlertRow }
