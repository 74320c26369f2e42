import type { JobQueueResolvers, QueueAlertResolvers } from '#graphql/queue'
import type { Context } from '../context.ts'
import { errorRateOf, healthOf, throughputOf } from '../services/queueCounts.ts'

type Named = { name: string }
const countsOf = ({ name }: Named, { loaders }: Context) => loaders.queueCounts.load(name)
const ratesOf = ({ name }: Named, { loaders }: Context) => loaders.queueRates.load(name)

export const jobQueue: JobQueueResolvers = {
  pending: async (queue, _args, context) => {
    const { high, normal, low, delayed } = await countsOf(queue, context)
    return high + normal + low + delayed
  },
  processing: async (queue, _args, context) => (await countsOf(queue, context)).processing,
  failedLast24h: async (queue, _args, context) => (await countsOf(queue, context)).failedLast24h,
  oldestPendingSeconds: async (queue, _args, context) => (await countsOf(queue, context)).oldestPendingSeconds,
  depth: (queue, _args, context) => countsOf(queue, context),
  throughputPerMinute: async (queue, _args, context) => throughputOf(await ratesOf(queue, context)),
  errorRate: async (queue, _args, context) => errorRateOf(await ratesOf(queue, context)),
  health: async (queue, _args, context) => {
    const [counts, rates] = await Promise.all([countsOf(queue, context), ratesOf(queue, context)])
    return healthOf(queue.isActive, counts, rates)
  },
}

export const queueAlert: QueueAlertResolvers = {
  queue: ({ queueName }, _args, { loaders }) => (queueName ? loaders.queues.load(queueName) : null),
  isBurning: ({ id }, _args, { loaders }) => loaders.burning.load(id),
}
