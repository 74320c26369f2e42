import type { Resolvers } from '#graphql/queue'
import { deadLetter, deadLetterGroup, job, ofQueue, scheduledJob } from './jobs.ts'
import { jobQueue, queueAlert } from './monitoring.ts'
import { mutations } from './mutations.ts'
import { campaign, domain, inboxMessageRef, smtpIpAddress, tenant, transactionalEmail, vpsInstance } from './others.ts'
import { queries } from './queries.ts'

/** Resolvers of every field that is not simply a column of its row. */
export const resolvers: Resolvers = {
  Query: queries,
  Mutation: mutations,
  Job: job,
  JobQueue: jobQueue,
  DeadLetter: deadLetter,
  DeadLetterGroup: deadLetterGroup,
  ScheduledJob: scheduledJob,
  JobMetric: ofQueue,
  QueueAlert: queueAlert,
  Tenant: tenant,
  Campaign: campaign,
  InboxMessageRef: inboxMessageRef,
  TransactionalEmail: transactionalEmail,
  Domain: domain,
  SmtpIpAddress: smtpIpAddress,
  VpsInstance: vpsInstance,
}
