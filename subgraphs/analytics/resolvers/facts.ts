import type { Resolvers } from '#graphql/analytics'
import { rate, type Totals } from '../services/aggregates.ts'

const rates = {
  replyRate: ({ replied, sent }: Totals) => rate(replied, sent),
  bounceRate: ({ bounced, sent }: Totals) => rate(bounced, sent),
}

/** The way back from numbers to what they are about, and the rates. */
export const factResolvers: Resolvers = {
  CampaignAnalytics: { campaign: ({ id }) => ({ id }), ...rates },
  LeadsAnalytics: rates,
  CampaignPerformance: { campaign: ({ id }) => ({ id }) },
  StepAnalytics: { step: ({ id }) => ({ id }) },
  MailboxAnalytics: { emailAccount: ({ id }) => ({ id }) },
  MailboxHealth: { emailAccount: ({ id }) => ({ id }) },
  LeadAnalytics: { lead: ({ id }) => ({ id }) },
  WarmupAnalytics: { emailAccount: ({ id }) => ({ id }) },
  IpPoolMember: { address: ({ id }) => ({ id }) },
}
