import type { MutationResolvers } from '#graphql/analytics'
import { requireService } from '#platform/caller/caller.ts'
import { unparkOutboxEvent } from '#platform/outbox/parked.ts'
import { recordAuditEntries } from '../services/auditLog.ts'
import { refreshViews } from '../services/precomputed.ts'
import { recordEmailEvents } from '../services/recordEvents.ts'
import { advanceWatermark } from '../services/watermarks.ts'

/** Operations of workers and tools, which the gateway does not know, and of operators. */
export const Mutation: MutationResolvers = {
  unparkAnalyticsOutboxEvent: async (_root, { input }, { caller, db }) => ({
    event: await unparkOutboxEvent({ caller, systemSql: db.systemSql }, input),
  }),
  recordEmailEvents: (_root, { events }, { caller, db }) => {
    requireService(caller)
    return recordEmailEvents(db.tenantSql, events)
  },
  recordAuditEntries: async (_root, { entries }, { caller, db }) => {
    requireService(caller)
    return recordAuditEntries(
      db.tenantSql,
      entries.map(({ key, ...entry }) => ({ ...entry, eventId: key })),
    )
  },
  advanceWatermark: (_root, { pipeline, upTo }, { caller, db }) => {
    requireService(caller)
    return advanceWatermark(db, pipeline, new Date(upTo))
  },
  refreshAnalyticsViews: (_root, _args, { caller, db }) => {
    requireService(caller)
    return refreshViews(db.systemSql)
  },
}
