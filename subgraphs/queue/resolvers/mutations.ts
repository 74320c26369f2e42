import type { MutationResolvers } from '#graphql/queue'
import { unparkOutboxEvent } from '#platform/outbox/parked.ts'
import { acknowledgeAlert, createQueueAlert, updateQueueAlert } from '../services/alertChanges.ts'
import { enqueueForService } from '../services/enqueueing.ts'
import { cancelJob, reprioritizeJob, retryJob } from '../services/jobActions.ts'
import { enqueueForPerson } from '../services/manualJobs.ts'
import { reprioritizeJobs } from '../services/priorities.ts'
import { setQueueActive, updateQueue } from '../services/queueSettings.ts'
import { replayDeadLetters, resolveDeadLetter, resolveDeadLetters } from '../services/replays.ts'
import { retryJobs } from '../services/retries.ts'
import { createScheduledJob, deleteScheduledJob, runScheduledJob, updateScheduledJob } from '../services/schedules.ts'

export const mutations: MutationResolvers = {
  retryJob: async (_, { input }, context) => ({ job: await retryJob(context, input) }),
  cancelJob: async (_, { input }, context) => ({ job: await cancelJob(context, input) }),
  reprioritizeJob: async (_, { input }, context) => ({ job: await reprioritizeJob(context, input) }),
  reprioritizeJobs: (_, { input }, context) => reprioritizeJobs(context, input),
  retryJobs: (_, { input }, context) => retryJobs(context, input),
  replayDeadLetters: (_, { input }, context) => replayDeadLetters(context, input),
  resolveDeadLetter: (_, { input }, context) => resolveDeadLetter(context, input),
  resolveDeadLetters: (_, { input }, context) => resolveDeadLetters(context, input),
  enqueue: (_, { input }, context) => enqueueForPerson(context, input),
  pauseQueue: async (_, { input }, context) => ({ queue: await setQueueActive(context, input, false) }),
  resumeQueue: async (_, { input }, context) => ({ queue: await setQueueActive(context, input, true) }),
  updateQueue: async (_, { input }, context) => ({ queue: await updateQueue(context, input) }),
  createScheduledJob: async (_, { input }, context) => ({ scheduledJob: await createScheduledJob(context, input) }),
  updateScheduledJob: async (_, { input }, context) => ({ scheduledJob: await updateScheduledJob(context, input) }),
  deleteScheduledJob: async (_, { input }, context) => ({ id: await deleteScheduledJob(context, input) }),
  runScheduledJob: (_, { input }, context) => runScheduledJob(context, input),
  createQueueAlert: async (_, { input }, context) => ({ alert: await createQueueAlert(context, input) }),
  updateQueueAlert: async (_, { input }, context) => ({ alert: await updateQueueAlert(context, input) }),
  acknowledgeAlert: async (_, { input }, context) => ({ firing: await acknowledgeAlert(context, input) }),
  unparkQueueOutboxEvent: async (_, { input }, { caller, db, relay }) => {
    const event = await unparkOutboxEvent({ caller, systemSql: db.systemSql }, input)
    relay.wake()
    return { event }
  },
  enqueueJobs: (_, { jobs }, context) => enqueueForService(context, jobs),
}
