import type { QueryResolvers } from '#graphql/analytics'
import { requireService, requireStaff, requireUser } from '#platform/caller/caller.ts'
import { PLATFORM_TENANT } from '#platform/database/tenantScope.ts'
import { isUuid } from '#platform/graph/ids.ts'
import { findOutboxEvents } from '#platform/outbox/parked.ts'
import { inTenant } from '../context.ts'
import { asPlatformIfStaff } from '../loaders.ts'
import { sumStepsOfCampaign } from '../services/aggregates.ts'
import { findArchives } from '../services/archives.ts'
import { readAuditLog, verifyChain } from '../services/auditLog.ts'
import { getUsage, listUsage } from '../services/billing.ts'
import { readDays } from '../services/days.ts'
import { findEmailEvents } from '../services/emailEvents.ts'
import { findFigures } from '../services/figures.ts'
import { readCount, readIds } from '../services/ids.ts'
import { findBusiest } from '../services/infrastructure.ts'
import { listMailboxesAtRisk, listMonths, listPool, listTopCampaigns } from '../services/precomputed.ts'
import { listWatermarks } from '../services/watermarks.ts'

export const Query: QueryResolvers = {
  mailboxAnalytics: (_root, { ids, range }, context) => {
    const { mailboxes } = inTenant(context).loaders
    return loadAll(readIds(ids), (id) => mailboxes.load({ id, args: readDays(range) }))
  },
  leadAnalytics: (_root, { ids, range }, context) => {
    const { leads } = inTenant(context).loaders
    return loadAll(readIds(ids), (id) => leads.load({ id, args: readDays(range) }))
  },
  warmupAnalytics: (_root, { ids, range }, context) => {
    const { warmups } = inTenant(context).loaders
    return loadAll(readIds(ids), (id) => warmups.load({ id, args: readDays(range) }))
  },
  stepAnalytics: (_root, { campaignId, range }, context) =>
    isUuid(campaignId) ? sumStepsOfCampaign(inTenant(context).db.tenantSql, campaignId, readDays(range)) : [],
  infrastructureAnalytics: async (_root, { kind, ids, range }, { caller, db, loaders }) => {
    requireStaff(caller)
    const days = readDays(range)
    const wanted = ids ? readIds(ids) : await asPlatformIfStaff(caller, () => findBusiest(db.tenantSql, kind, days))
    return loadAll(wanted, (id) => loaders.infrastructure.load({ id, args: { kind, days } }))
  },
  ipPool: (_root, { first }, { caller, db }) =>
    asPlatformIfStaff(requireStaff(caller), () => listPool(db.tenantSql, readCount('first', first, 20, 100))),
  billingUsage: (_root, _args, context) => getUsage(inTenant(context).db.tenantSql),
  usageHistory: (_root, { months }, context) =>
    listUsage(inTenant(context).db.tenantSql, readCount('months', months, 12, 36)),
  monthlyVolume: (_root, { months }, context) =>
    listMonths(inTenant(context).db.tenantSql, readCount('months', months, 12, 36)),
  topCampaigns: (_root, { first }, context) =>
    listTopCampaigns(inTenant(context).db.tenantSql, readCount('first', first, 20, 100)),
  mailboxesAtRisk: (_root, { first }, context) =>
    listMailboxesAtRisk(inTenant(context).db.tenantSql, readCount('first', first, 20, 100)),
  auditLog: (_root, args, { caller, db }) => readAuditLog(db, caller, args),
  auditChain: (_root, _args, { caller, db }) => {
    requireUser(caller, 'owner', 'admin')
    return verifyChain(db.tenantSql)
  },
  emailEvents: (_root, args, context) => findEmailEvents(inTenant(context).db, args),
  analyticsWatermarks: (_root, _args, { caller, db }) => listWatermarks(db, caller.tenantId ?? PLATFORM_TENANT),
  campaignFigures: (_root, { campaignIds }, context) => {
    requireService(context.caller)
    return findFigures(inTenant(context).db.tenantSql, readIds(campaignIds))
  },
  analyticsArchives: (_root, args, context) => findArchives(inTenant(context).db, args),
  analyticsOutboxEvents: (_root, args, { caller, db: { system, systemSql } }) =>
    findOutboxEvents({ caller, systemSql, outboxEvent: system.outboxEvent }, args),
}

async function loadAll<Found>(ids: readonly string[], load: (id: string) => Promise<Found | null>): Promise<Found[]> {
  return (await Promise.all(ids.map(load))).filter((found) => found !== null)
}
