import type { QueryResolvers } from '#graphql/oltp'
import { requireService, requireUser } from '#platform/caller/caller.ts'
import { outboxFrontier } from '#platform/outbox/frontier.ts'
import { findOutboxEvents } from '#platform/outbox/parked.ts'
import { findCampaigns } from '../services/campaigns/campaigns.ts'
import { findDomains, findIpAssignments } from '../services/domains/domains.ts'
import { findMailboxesToPoll } from '../services/imap/mailboxes.ts'
import { findConversations, findRecentReplies } from '../services/inbox/conversations.ts'
import { findMessages } from '../services/inbox/messages.ts'
import { findSmtpIp, findSmtpIps, findVpsInstance, findVpsInstances } from '../services/infrastructure.ts'
import { getLeadStats } from '../services/leads/leadStats.ts'
import { findCampaignLeads, findLeads } from '../services/leads/leads.ts'
import { findSuppressions } from '../services/leads/suppressions.ts'
import { findEmailAccounts } from '../services/mailboxes/emailAccounts.ts'
import { findPreflight } from '../services/preflight/preflight.ts'
import { previewTemplate } from '../services/rendering/previewTemplate.ts'
import { readAsStaff } from '../services/staffAccess.ts'
import { findTemplateFolders, findTemplates, findTemplateTags } from '../services/templates/templates.ts'
import { findCompanies, findPlans, findSubscription, findTeam, findViewer, getTenant } from '../services/tenants.ts'
import { asUser } from './callers.ts'
import { leadFileQueries } from './leadFiles.ts'
import { sendingQueries } from './sending.ts'

export const queries: QueryResolvers = {
  viewer: (_, _args, context) => findViewer(context),
  tenant: (_, _args, context) => getTenant(context, requireUser(context.caller).tenantId),
  company: (_, { id }, context) => asUser(context).loaders.companies.load(id),
  companies: (_, args, context) => findCompanies(asUser(context).db, args),
  team: (_, args, context) => findTeam(asUser(context).db, args),
  campaign: (_, { id }, context) => asUser(context).loaders.campaigns.load(id),
  campaigns: (_, args, context) => findCampaigns(asUser(context).db, args),
  campaignPreflight: (_, { campaignId }, context) => findPreflight(asUser(context).db, campaignId),
  message: (_, { id }, context) => asUser(context).loaders.messages.load(id),
  messages: (_, args, context) => findMessages(asUser(context).db, args),
  conversation: (_, { id }, context) => asUser(context).loaders.conversations.load(id),
  conversations: (_, args, context) => findConversations(asUser(context).db, args),
  recentReplies: (_, args, context) => findRecentReplies(asUser(context).db, args),
  lead: (_, { id }, context) => asUser(context).loaders.leads.load(id),
  leads: (_, args, context) => findLeads(asUser(context).db, args),
  campaignLeads: (_, args, context) => findCampaignLeads(asUser(context), args),
  ...leadFileQueries,
  ...sendingQueries,
  leadStats: (_, _args, context) => getLeadStats(asUser(context).db),
  template: (_, { id }, context) => asUser(context).loaders.templates.load(id),
  templates: (_, args, context) => findTemplates(asUser(context).db, args),
  templateFolders: (_, _args, context) => findTemplateFolders(asUser(context).db),
  templateTags: (_, _args, context) => findTemplateTags(asUser(context).db),
  previewTemplate: (_, { input }, context) => previewTemplate(asUser(context), input),
  domain: (_, { id }, context) => asUser(context).loaders.domains.load(id),
  domains: (_, args, context) => findDomains(asUser(context).db, args),
  emailAccount: (_, { id }, context) => asUser(context).loaders.emailAccounts.load(id),
  emailAccounts: (_, args, context) => findEmailAccounts(asUser(context).db, args),
  suppressions: (_, args, context) => findSuppressions(asUser(context).db, args),
  plans: (_, _args, context) => findPlans(asUser(context).db),
  subscription: (_, _args, context) => findSubscription(asUser(context).db),
  domainIpAssignments: (_, args, context) => findIpAssignments(asUser(context).db, args),

  vpsInstance: (_, { id }, context) => readAsStaff(context, 'VpsInstance', () => findVpsInstance(context, id)),
  vpsInstances: (_, args, context) => readAsStaff(context, 'VpsInstance', () => findVpsInstances(context.db, args)),
  smtpIp: (_, { id }, context) => readAsStaff(context, 'SmtpIpAddress', () => findSmtpIp(context, id)),
  smtpIps: (_, args, context) => readAsStaff(context, 'SmtpIpAddress', () => findSmtpIps(context.db, args)),
  outboxEvents: (_, args, { caller, db: { system, systemSql } }) =>
    findOutboxEvents({ caller, systemSql, outboxEvent: system.outboxEvent }, args),

  outboxFrontier: (_, _args, { caller, db }) => {
    requireService(caller)
    return outboxFrontier(db.systemSql)
  },
  mailboxesToPoll: (_, { first }, { caller, db }) => requireService(caller) && findMailboxesToPoll(db, first),
}
