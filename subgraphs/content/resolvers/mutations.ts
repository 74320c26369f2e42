import type { MutationResolvers } from '#graphql/content'
import { requireService } from '#platform/caller/caller.ts'
import { AppError } from '#platform/errors.ts'
import { unparkOutboxEvent } from '#platform/outbox/parked.ts'
import { storeMessages } from '../services/messageStore.ts'
import { deliverNotifications } from '../services/notificationDelivery.ts'

export const mutations: MutationResolvers = {
  unparkContentOutboxEvent: async (_root, { input }, { caller, db }) => ({
    event: await unparkOutboxEvent({ caller, systemSql: db.systemSql }, input),
  }),
  storeMessages: (_root, { messages }, { caller, db, keys, maxMessageBytes }) => {
    if (requireService(caller).tenantId === null) throw new AppError('INVALID_INPUT', 'the caller must name a tenant')
    return storeMessages({ db, keys }, messages, maxMessageBytes)
  },
  deliverNotifications: (_root, { notifications }, { caller, db }) =>
    requireService(caller) && deliverNotifications(db, notifications),
}
