import type { MutationResolvers } from '#graphql/queue'
import { acknowledgeAlert, createQueueAlert, updateQueueAlert } from '../services/alertChanges.ts'
import { enqueueForService } from '../services/enqueueing.ts'
import { cancelJob, retryJob } from '../services/jobActions.ts'
import { replayDeadLetters } from '../services/replays.ts'
import { createScheduledJob, deleteScheduledJob, runScheduledJob, updateScheduledJob } from '../services/schedules.ts'

export const mutations: MutationResolvers = {
  retryJob: async (_, { input }, context) => ({ job: await retryJob(context, input) }),
  cancelJob: async (_, { input }, context) => ({ job: await cancelJob(context, input) }),
  replayDeadLetters: (_, { input }, context) => replayDeadLetters(context, input),
  createScheduledJob: async (_, { input }, context) => ({ scheduledJob: await createScheduledJob(context, input) }),
  updateScheduledJob: async (_, { input }, context) => ({ scheduledJob: await updateScheduledJob(context, input) }),
  deleteScheduledJob: async (_, { input }, context) => ({ id: await deleteScheduledJob(context, input) }),
  runScheduledJob: (_, { input }, context) => runScheduledJob(context, input),
  createQueueAlert: async (_, { input }, context) => ({ alert: await createQueueAlert(context, input) }),
  updateQueueAlert: async (_, { input }, context) => ({ alert: await updateQueueAlert(context, input) }),
  acknowledgeAlert: async (_, { input }, context) => ({ firing: await acknowledgeAlert(context, input) }),
  enqueueJobs: (_, { jobs }, context) => enqueueForService(context, jobs),
}
