import type { Resolvers } from '#graphql/oltp'
import {
  campaign,
  campaignEnrollment,
  campaignMetrics,
  campaignPreflight,
  campaignSequenceStep,
  template,
} from './resolvers/campaigns.ts'
import {
  domain,
  domainIpAssignment,
  emailAccount,
  smtpIpAddress,
  subscription,
  vpsInstance,
} from './resolvers/infrastructure.ts'
import { leadExport, leadImport } from './resolvers/leadFiles.ts'
import { contentObject, conversation, inboxMessageRef, lead, leadStats, suppression } from './resolvers/messages.ts'
import { mutations } from './resolvers/mutations.ts'
import { company, teamMember, tenant, user } from './resolvers/people.ts'
import { queries } from './resolvers/queries.ts'

/** Resolvers of every field that is not simply a column of its row. */
export const resolvers: Resolvers = {
  Query: queries,
  Mutation: mutations,
  Tenant: tenant,
  User: user,
  TeamMember: teamMember,
  Company: company,
  Campaign: campaign,
  CampaignMetrics: campaignMetrics,
  CampaignPreflight: campaignPreflight,
  CampaignSequenceStep: campaignSequenceStep,
  CampaignEnrollment: campaignEnrollment,
  Template: template,
  InboxMessageRef: inboxMessageRef,
  Conversation: conversation,
  ContentObject: contentObject,
  Lead: lead,
  LeadImport: leadImport,
  LeadExport: leadExport,
  LeadStats: leadStats,
  Suppression: suppression,
  Domain: domain,
  EmailAccount: emailAccount,
  DomainIpAssignment: domainIpAssignment,
  SmtpIpAddress: smtpIpAddress,
  VpsInstance: vpsInstance,
  PlanSubscription: subscription,
}
