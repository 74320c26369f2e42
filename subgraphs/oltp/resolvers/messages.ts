import type {
  ContentObjectResolvers,
  ConversationResolvers,
  InboxMessageRefResolvers,
  LeadResolvers,
  LeadStatsResolvers,
  SuppressionResolvers,
} from '#graphql/oltp'
import { findMessagesOfContent } from '../services/inbox/messages.ts'
import { findLeadStats } from '../services/leads/leadStats.ts'

export const inboxMessageRef: InboxMessageRefResolvers = {
  __resolveReference: ({ id }, { loaders }) => loaders.messages.load(id),
  content: ({ contentStorageKey }) => (contentStorageKey ? { storageKey: contentStorageKey } : null),
  parent: ({ parentMessageId }, _args, { loaders }) =>
    parentMessageId ? loaders.messages.load(parentMessageId) : null,
  campaign: ({ campaignId }, _args, { loaders }) => (campaignId ? loaders.campaigns.load(campaignId) : null),
  step: ({ stepId }, _args, { loaders }) => (stepId ? loaders.steps.load(stepId) : null),
  lead: ({ leadId }, _args, { loaders }) => (leadId ? loaders.leads.load(leadId) : null),
  emailAccount: ({ emailAccountId }, _args, { loaders }) => loaders.emailAccounts.load(emailAccountId),
}

export const conversation: ConversationResolvers = {
  emailAccount: ({ emailAccountId }, _args, { loaders }) => loaders.emailAccounts.load(emailAccountId),
  campaign: ({ campaignId }, _args, { loaders }) => (campaignId ? loaders.campaigns.load(campaignId) : null),
  lead: ({ leadId }, _args, { loaders }) => (leadId ? loaders.leads.load(leadId) : null),
  lastMessage: ({ lastMessageId }, _args, { loaders }) => loaders.messages.load(lastMessageId),
  messages: ({ id }, page, { loaders }) => loaders.messagesOfConversation.load({ ...page, parentId: id }),
}

export const contentObject: ContentObjectResolvers = {
  __resolveReference: ({ storageKey }) => ({ storageKey }),
  messages: ({ storageKey }, _args, context) => findMessagesOfContent(context, storageKey),
}

export const lead: LeadResolvers = {
  __resolveReference: ({ id }, { loaders }) => loaders.leads.load(id),
  messages: ({ id }, page, { loaders }) => loaders.messagesOfLead.load({ ...page, parentId: id }),
  enrollments: ({ id }, page, { loaders }) => loaders.enrollmentsOfLead.load({ ...page, parentId: id }),
}

export const leadStats: LeadStatsResolvers = {
  __resolveReference: ({ id }, { db }) => findLeadStats(db, id),
}

export const suppression: SuppressionResolvers = {
  company: ({ companyId }, _args, { loaders }) => (companyId ? loaders.companies.load(companyId) : null),
  sourceMessage: ({ sourceMessageId }, _args, { loaders }) =>
    sourceMessageId ? loaders.messages.load(sourceMessageId) : null,
}
