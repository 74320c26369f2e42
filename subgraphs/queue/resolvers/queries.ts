import type { QueryResolvers } from '#graphql/queue'
import { findOutboxEvents } from '#platform/outbox/parked.ts'
import { findAlerts, findFirings } from '../services/alerts.ts'
import { findDeadLetterGroups, findDeadLetters } from '../services/deadLetters.ts'
import { findJobs } from '../services/jobs.ts'
import { findJobMetrics, findScheduledJobs, findWorkers } from '../services/operations.ts'
import { findQueues } from '../services/queues.ts'

export const queries: QueryResolvers = {
  queueOutboxEvents: (_, args, { caller, db: { system, systemSql } }) =>
    findOutboxEvents({ caller, systemSql, outboxEvent: system.outboxEvent }, args),
  job: (_, { id }, { loaders }) => loaders.jobs.load(id),
  jobs: (_, args, context) => findJobs(context, args),
  queues: (_, _args, context) => findQueues(context),
  deadLetters: (_, args, context) => findDeadLetters(context, args),
  deadLetterGroups: (_, { filter }, context) => findDeadLetterGroups(context, filter),
  scheduledJobs: (_, args, context) => findScheduledJobs(context, args),
  workers: (_, args, context) => findWorkers(context, args),
  jobMetrics: (_, args, context) => findJobMetrics(context, args),
  queueAlerts: (_, args, context) => findAlerts(context, args),
  queueAlertHistory: (_, args, context) => findFirings(context, args),
}
