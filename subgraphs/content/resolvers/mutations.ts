import type { MutationResolvers } from '#graphql/content'
import { requireService } from '#platform/caller/caller.ts'
import { AppError } from '#platform/errors.ts'
import { storeMessages } from '../services/messageStore.ts'
import { deliverNotifications } from '../services/notificationDelivery.ts'

export const mutations: MutationResolvers = {
  storeMessages: (_root, { messages }, { caller, db, keys, maxMessageBytes }) => {
    if (requireService(caller).tenantId === null) throw new AppError('INVALID_INPUT', 'the caller must name a tenant')
    return storeMessages({ db, keys }, messages, maxMessageBytes)
  },
  deliverNotifications: (_root, { notifications }, { caller, db }) =>
    requireService(caller) && deliverNotifications(db, notifications),
}
