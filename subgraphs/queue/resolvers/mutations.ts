import type { MutationResolvers } from '#graphql/queue'
import { enqueueForService } from '../services/enqueueing.ts'
import { cancelJob, retryJob } from '../services/jobActions.ts'
import { replayDeadLetters } from '../services/replays.ts'

export const mutations: MutationResolvers = {
  retryJob: async (_, { input }, context) => ({ job: await retryJob(context, input) }),
  cancelJob: async (_, { input }, context) => ({ job: await cancelJob(context, input) }),
  replayDeadLetters: (_, { input }, context) => replayDeadLetters(context, input),
  enqueueJobs: (_, { jobs }, context) => enqueueForService(context, jobs),
}
