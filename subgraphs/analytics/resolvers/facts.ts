import type { Resolvers } from '#graphql/analytics'
import { rate } from '../services/aggregates.ts'

/** The way back from numbers to what they are about, and the rates. */
export const factResolvers: Resolvers = {
  CampaignAnalytics: {
    campaign: ({ id }) => ({ id }),
    replyRate: ({ replied, sent }) => rate(replied, sent),
    bounceRate: ({ bounced, sent }) => rate(bounced, sent),
  },
  CampaignPerformance: { campaign: ({ id }) => ({ id }) },
  StepAnalytics: { step: ({ id }) => ({ id }) },
  MailboxAnalytics: { emailAccount: ({ id }) => ({ id }) },
  MailboxHealth: { emailAccount: ({ id }) => ({ id }) },
  LeadAnalytics: { lead: ({ id }) => ({ id }) },
  WarmupAnalytics: { emailAccount: ({ id }) => ({ id }) },
  IpPoolMember: { address: ({ id }) => ({ id }) },
}
