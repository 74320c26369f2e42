import type { Resolvers } from '#graphql/analytics'
import { inTenant } from '../context.ts'
import { CAMPAIGN_FACTS, sumAllFacts } from '../services/aggregates.ts'
import { getUsage, listUsage } from '../services/billing.ts'
import { readFunnel } from '../services/campaigns.ts'
import { readDays } from '../services/days.ts'
import { readCount, refer } from '../services/ids.ts'

// A reference proves nothing: numbers are read in the caller's tenant, where another tenant's id has none, just like an
// id that nobody has. So there is nothing to look up here but whether it can be an id at all.
const reference = { __resolveReference: ({ id }: { id: string }) => refer(id) }

/** What this tier adds to the entities of others. */
export const entityResolvers: Resolvers = {
  Campaign: {
    ...reference,
    analytics: ({ id }, { range }, context) => inTenant(context).loaders.campaigns.load({ id, args: readDays(range) }),
    timeSeries: ({ id }, { range, granularity }, context) =>
      inTenant(context).loaders.campaignSeries.load({
        id,
        args: { days: readDays(range), granularity: granularity ?? 'day' },
      }),
    funnel: async ({ id }, { range }, context) => {
      const totals = await inTenant(context).loaders.campaigns.load({ id, args: readDays(range) })
      return totals && readFunnel(totals)
    },
  },
  CampaignSequenceStep: {
    ...reference,
    analytics: ({ id }, { range }, context) => inTenant(context).loaders.steps.load({ id, args: readDays(range) }),
  },
  EmailAccount: {
    ...reference,
    analytics: ({ id }, { range }, context) => inTenant(context).loaders.mailboxes.load({ id, args: readDays(range) }),
    warmup: ({ id }, { range }, context) => inTenant(context).loaders.warmups.load({ id, args: readDays(range) }),
    health: ({ id }, _args, context) => inTenant(context).loaders.health.load({ id, args: null }),
  },
  Lead: {
    ...reference,
    analytics: ({ id }, { range }, context) => inTenant(context).loaders.leads.load({ id, args: readDays(range) }),
    events: ({ id }, { first, after }, context) =>
      inTenant(context).loaders.events.load({ id, args: { parent: 'lead', page: { first, after } } }),
  },
  LeadStats: {
    __resolveReference: ({ id }, context) => (id.toLowerCase() === context.caller.tenantId ? { id } : null),
    analytics: (_stats, { range }, context) =>
      sumAllFacts(inTenant(context).db.tenantSql, CAMPAIGN_FACTS, readDays(range)),
  },
  InboxMessageRef: {
    ...reference,
    events: ({ id }, { first, after }, context) =>
      inTenant(context).loaders.events.load({ id, args: { parent: 'message', page: { first, after } } }),
  },
  Tenant: {
    __resolveReference: ({ id }, context) => (id.toLowerCase() === context.caller.tenantId ? { id } : null),
    billing: (_tenant, _args, context) => getUsage(inTenant(context).db.tenantSql),
    usageHistory: (_tenant, { months }, context) =>
      listUsage(inTenant(context).db.tenantSql, readCount('months', months, 12, 36)),
  },
  Domain: {
    ...reference,
    analytics: ({ id }, { range }, { loaders }) =>
      loaders.infrastructure.load({ id, args: { kind: 'domain', days: readDays(range) } }),
  },
  SmtpIpAddress: {
    ...reference,
    analytics: ({ id }, { range }, { loaders }) =>
      loaders.infrastructure.load({ id, args: { kind: 'smtp_ip_address', days: readDays(range) } }),
  },
  VpsInstance: {
    ...reference,
    analytics: ({ id }, { range }, { loaders }) =>
      loaders.infrastructure.load({ id, args: { kind: 'vps_instance', days: readDays(range) } }),
  },
}
