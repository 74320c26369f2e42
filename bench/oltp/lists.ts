import { platformId, type StockedTenant, stockId } from './stock.ts'

const PAGE = '{ nodes { id } pageInfo { endCursor } }'

/** Every list of the oltp tier that a tenant may ask, with each filter and order: its field, for a tenant of the stock. */
export const LISTS: Record<string, (tenant: StockedTenant) => string> = {
  messages: list('messages'),
  'messages of a mailbox': list('messages', (id) => `emailAccountId: "${id('mailbox')}"`),
  'messages of a campaign': list('messages', (id) => `campaignId: "${id('campaign')}"`),
  'messages of a step': list('messages', (id) => `stepId: "${id('step')}"`),
  'messages of a lead': list('messages', (id) => `leadId: "${id('lead')}"`),
  'messages of a thread': list('messages', (id) => `threadId: "${id('thread')}"`),
  'messages of a sender': list('messages', () => 'fromEmail: "lead0@x.example"'),
  'messages not read': list('messages', () => 'isRead: false'),
  'messages starred': list('messages', () => 'isStarred: true'),
  'messages archived': list('messages', () => 'isArchived: true'),
  'messages with attachments': list('messages', () => 'hasAttachments: true'),
  'messages of a week': list('messages', () => `createdAt: ${week()}`),
  'messages that are bounces': list('messages', () => 'messageType: BOUNCE'),
  'messages of a state': list('messages', () => 'direction: INBOUND, status: [RECEIVED]'),
  'messages within a campaign': (tenant) =>
    `campaign(id: "${stockId(tenant, 'campaign', 0)}") { messages { nodes { id } } }`,
  'messages within a mailbox': (tenant) =>
    `emailAccount(id: "${stockId(tenant, 'mailbox', 0)}") { messages { nodes { id } } }`,
  'messages within a lead': (tenant) => `lead(id: "${stockId(tenant, 'lead', 0)}") { messages { nodes { id } } }`,
  'messages within a conversation': (tenant) =>
    `conversation(id: "${stockId(tenant, 'thread', 0)}") { messages { nodes { id } } }`,
  'recent replies': list('recentReplies'),
  conversations: list('conversations'),
  'conversations of a mailbox': list('conversations', (id) => `emailAccountId: "${id('mailbox')}"`),
  'conversations of a campaign': list('conversations', (id) => `campaignId: "${id('campaign')}"`),
  'conversations of a lead': list('conversations', (id) => `leadId: "${id('lead')}"`),
  'conversations with somebody': list('conversations', () => 'correspondent: "lead0@x.example"'),
  'conversations not read': list('conversations', () => 'isUnread: true'),
  'conversations starred': list('conversations', () => 'isStarred: true'),
  'conversations archived': list('conversations', () => 'isArchived: true'),
  'conversations of a week': list('conversations', () => `period: ${week()}`),
  campaigns: list('campaigns'),
  'campaigns of a state': list('campaigns', () => 'status: [PAUSED]'),
  'campaigns of a company': list('campaigns', (id) => `companyId: "${id('company')}"`),
  'campaigns of a week': list('campaigns', () => `createdAt: ${week()}`),
  'campaigns archived': list('campaigns', () => 'isArchived: true'),
  'campaigns by name': ordered('campaigns', '{ field: NAME, direction: ASC }'),
  'campaigns by last change': ordered('campaigns', '{ field: UPDATED_AT }'),
  'campaigns by reply rate': ordered('campaigns', '{ field: REPLY_RATE }'),
  'campaigns of a company, within it': (tenant) =>
    `company(id: "${stockId(tenant, 'company', 0)}") { campaigns { nodes { id } } }`,
  'leads within a campaign': (tenant) =>
    `campaign(id: "${stockId(tenant, 'campaign', 0)}") { enrollments { nodes { id } } }`,
  'campaigns within a lead': (tenant) => `lead(id: "${stockId(tenant, 'lead', 0)}") { enrollments { nodes { id } } }`,
  'leads of a campaign': (tenant) => `campaignLeads(campaignId: "${stockId(tenant, 'campaign', 0)}") ${PAGE}`,
  'leads of a campaign, of a state': (tenant) =>
    `campaignLeads(campaignId: "${stockId(tenant, 'campaign', 0)}", filter: { status: REPLIED }) ${PAGE}`,
  leads: list('leads'),
  'leads of a state': list('leads', () => 'status: REPLIED'),
  templates: list('templates'),
  'templates of a folder': list('templates', () => 'folder: "Folder 1"'),
  suppressions: list('suppressions'),
  'suppressions of a reason': list('suppressions', () => 'reason: COMPLAINT'),
  'suppressions of a company': list('suppressions', (id) => `companyId: "${id('company')}"`),
  'suppressions of all companies': list('suppressions', () => 'scope: COMPANY'),
  'suppressions of a week': list('suppressions', () => `createdAt: ${week()}`),
  'suppressions of a domain': list('suppressions', () => 'domain: "gone2.example"'),
  'suppressions of an address': list('suppressions', () => 'email: "gone1@x.example"'),
  'lead imports': list('leadImports'),
  'lead exports': list('leadExports'),
  'errors of an import': (tenant) =>
    `_entities(representations: [{ __typename: "LeadImport", id: "${stockId(tenant, 'import', 0)}" }]) {
      ... on LeadImport { errors { nodes { rowNumber } } } }`,
  domains: list('domains'),
  'domains of a company': list('domains', (id) => `companyId: "${id('company')}"`),
  'domains of a state': list('domains', () => 'verificationStatus: VERIFIED'),
  'domains within a company': (tenant) =>
    `company(id: "${stockId(tenant, 'company', 0)}") { domains { nodes { id } } }`,
  'addresses of domains': list('domainIpAssignments'),
  'addresses within a domain': (tenant) =>
    `domain(id: "${stockId(tenant, 'domain', 0)}") { ipAssignments { nodes { id } } }`,
  'mailboxes within a domain': (tenant) =>
    `domain(id: "${stockId(tenant, 'domain', 0)}") { emailAccounts { nodes { id } } }`,
  mailboxes: list('emailAccounts'),
  'mailboxes by a part of their address': list('emailAccounts', () => 'search: "1@stock"'),
  'mailboxes of a domain': list('emailAccounts', (id) => `domainId: "${id('domain')}"`),
  'mailboxes of a state': list('emailAccounts', () => 'status: ACTIVE'),
  companies: list('companies'),
  team: list('team'),
}

/** Every list of what is the platform's, which staff may ask. */
export const STAFF_LISTS: Record<string, () => string> = {
  servers: () => `vpsInstances ${PAGE}`,
  'servers of a state': () => `vpsInstances(filter: { status: DECOMMISSIONED }) ${PAGE}`,
  'servers of a region': () => `vpsInstances(filter: { region: "region-1" }) ${PAGE}`,
  'addresses of servers': () => `smtpIps ${PAGE}`,
  'addresses of a server': () => `smtpIps(filter: { vpsInstanceId: "${platformId('server', 0)}" }) ${PAGE}`,
  'addresses of a pool': () => `smtpIps(filter: { pool: DEDICATED }) ${PAGE}`,
  'addresses of a state': () => `smtpIps(filter: { status: BURNED }) ${PAGE}`,
  'events on their way': () => `outboxEvents ${PAGE}`,
  'events set aside': () => `outboxEvents(filter: { isParked: true }) ${PAGE}`,
}

/** What has to look at all that fits, by its nature (it counts, or sorts by another column): not held to a page's cost. */
export const WHOLE: Record<string, (tenant: StockedTenant) => string> = {
  'all messages, counted': () => 'messages(first: 1) { totalCount }',
  'all conversations, counted': () => 'conversations(first: 1) { totalCount }',
  'all leads, counted': () => 'leads(first: 1) { totalCount }',
  'all campaigns, counted': () => 'campaigns(first: 1) { totalCount }',
  'statistics of leads': () => 'leadStats { total replied }',
  'folders of templates': () => 'templateFolders { name templateCount }',
  // By an array, and by what stands in another table: in the order of the list, until a page is full.
  'templates of a tag': list('templates', () => 'tag: "tag1"'),
  'campaigns sending from a mailbox': list('campaigns', (id) => `emailAccountId: "${id('mailbox')}"`),
  'tags of templates': () => 'templateTags { name templateCount }',
  'messages by a part of their subject': list('messages', () => 'search: "ail 77"'),
  'conversations by subject': list('conversations', () => 'search: "mail 10"'),
  'leads in a campaign': list('leads', (id) => `campaignId: "${id('campaign')}"`),
  'leads by a part of a word': list('leads', () => 'search: "ead 77"'),
  'campaigns by a part of a word': list('campaigns', () => 'search: "aign 7"'),
}

type IdOf = (kind: string) => string

function list(field: string, filter?: (id: IdOf) => string): (tenant: StockedTenant) => string {
  return (tenant) => `${field}${filter ? `(filter: { ${filter((kind) => stockId(tenant, kind, 0))} })` : ''} ${PAGE}`
}

function ordered(field: string, order: string): () => string {
  return () => `${field}(orderBy: ${order}) ${PAGE}`
}

function week(): string {
  const [from, to] = [21, 14].map((days) => new Date(Date.now() - days * 86_400_000).toISOString())
  return `{ from: "${from}", to: "${to}" }`
}

/** The same list's page behind a cursor. */
export function behind(field: string, cursor: string): string {
  const after = `after: "${cursor}"`
  const name = /^\w+/.exec(field)?.[0] ?? ''
  return field.startsWith(`${name}(`) ? field.replace('(', `(${after}, `) : field.replace(name, `${name}(${after})`)
}
