import type { MutationResolvers } from '#graphql/oltp'
import { requireService, requireUser } from '#platform/caller/caller.ts'
import { unparkOutboxEvent } from '#platform/outbox/parked.ts'
import type { Context } from '../context.ts'
import { createCampaign } from '../services/campaigns.ts'
import { ingestMessage } from '../services/mailFlow/ingest.ts'
import { recordSentMessages } from '../services/mailFlow/recordSent.ts'
import { provisionTenant } from '../services/provisioning.ts'
import { recordTracking } from '../services/trackingEvents/recordTracking.ts'

/** The request's context once a tenant's user who may change things is known to ask: anyone but a viewer. */
function asEditor(context: Context): Context {
  requireUser(context.caller, 'owner', 'admin', 'manager', 'employee')
  return context
}

/** The request's context once one of our own processes is known to ask. */
function asService(context: Context): Context {
  requireService(context.caller)
  return context
}

export const mutations: MutationResolvers = {
  ingestMessage: (_, { input }, context) => ingestMessage(asEditor(context), input),
  createCampaign: async (_, { input }, context) => ({ campaign: await createCampaign(asEditor(context), input) }),
  unparkOltpOutboxEvent: async (_, { input }, { caller, db, relay }) => {
    const event = await unparkOutboxEvent({ caller, systemSql: db.systemSql }, input)
    relay.wake()
    return { event }
  },
  provisionTenant: (_, { input }, context) => provisionTenant(asService(context), input),
  recordSentMessages: (_, { input }, context) => recordSentMessages(asService(context), input.items),
  recordTracking: (_, { hits }, context) => recordTracking(asService(context), hits),
}
