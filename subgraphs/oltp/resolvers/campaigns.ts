import type {
  CampaignEnrollmentResolvers,
  CampaignMetricsResolvers,
  CampaignPreflightResolvers,
  CampaignResolvers,
  CampaignSequenceStepResolvers,
  TemplateResolvers,
} from '#graphql/oltp'
import { findPreflight } from '../services/preflight/preflight.ts'

export const campaign: CampaignResolvers = {
  __resolveReference: ({ id }, { loaders }) => loaders.campaigns.load(id),
  company: ({ companyId }, _args, { loaders }) => loaders.companies.load(companyId),
  steps: ({ id }, _args, { loaders }) => loaders.stepsOfCampaign.load(id),
  messages: ({ id }, page, { loaders }) => loaders.messagesOfCampaign.load({ ...page, parentId: id }),
  enrollments: ({ id }, page, { loaders }) => loaders.enrollmentsOfCampaign.load({ ...page, parentId: id }),
  metrics: ({ id }, _args, { loaders }) => loaders.metrics.load(id),
}

export const campaignMetrics: CampaignMetricsResolvers = {
  asOf: ({ asOfAt }) => asOfAt,
}

export const campaignPreflight: CampaignPreflightResolvers = {
  __resolveReference: ({ id }, { db }) => findPreflight(db, id),
  campaign: ({ id }, _args, { loaders }) => loaders.campaigns.load(id),
}

export const campaignSequenceStep: CampaignSequenceStepResolvers = {
  __resolveReference: ({ id }, { loaders }) => loaders.steps.load(id),
  campaign: ({ campaignId }, _args, { loaders }) => loaders.campaigns.load(campaignId),
  template: ({ templateId }, _args, { loaders }) => (templateId ? loaders.templates.load(templateId) : null),
  emailAccount: ({ emailAccountId }, _args, { loaders }) =>
    emailAccountId ? loaders.emailAccounts.load(emailAccountId) : null,
}

export const campaignEnrollment: CampaignEnrollmentResolvers = {
  campaign: ({ campaignId }, _args, { loaders }) => loaders.campaigns.load(campaignId),
  lead: ({ leadId }, _args, { loaders }) => loaders.leads.load(leadId),
  emailAccount: ({ emailAccountId }, _args, { loaders }) =>
    emailAccountId ? loaders.emailAccounts.load(emailAccountId) : null,
}

export const template: TemplateResolvers = {
  __resolveReference: ({ id }, { loaders }) => loaders.templates.load(id),
  usedBy: ({ id }, _args, { loaders }) => loaders.stepsOfTemplate.load(id),
}
