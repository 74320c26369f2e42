import type { MutationResolvers } from '#graphql/oltp'
import { unparkOutboxEvent } from '#platform/outbox/parked.ts'
import { projectMetrics } from '../services/campaigns/campaignMetrics.ts'
import { ingestMessage } from '../services/mailFlow/ingest.ts'
import { recordSentMessages } from '../services/mailFlow/recordSent.ts'
import { provisionTenant } from '../services/provisioning.ts'
import { recordTracking } from '../services/trackingEvents/recordTracking.ts'
import { asEditor, asService } from './callers.ts'
import { campaignMutations } from './campaignMutations.ts'
import { inboxMutations } from './inboxMutations.ts'
import { leadFileMutations } from './leadFiles.ts'
import { leadMutations } from './leadMutations.ts'
import { sendingMutations } from './sending.ts'
import { settingMutations } from './settingMutations.ts'

export const mutations: MutationResolvers = {
  ingestMessage: (_, { input }, context) => ingestMessage(asEditor(context), input),
  ...inboxMutations,
  ...campaignMutations,
  ...leadMutations,
  ...settingMutations,
  ...leadFileMutations,
  ...sendingMutations,
  unparkOltpOutboxEvent: async (_, { input }, { caller, db, relay }) => {
    const event = await unparkOutboxEvent({ caller, systemSql: db.systemSql }, input)
    relay.wake()
    return { event }
  },
  provisionTenant: (_, { input }, context) => provisionTenant(asService(context), input),
  recordSentMessages: (_, { input }, context) => recordSentMessages(asService(context), input.items),
  projectCampaignMetrics: (_, { figures }, context) => projectMetrics(asService(context).db, figures),
  recordTracking: (_, { hits }, context) => recordTracking(asService(context), hits),
}
