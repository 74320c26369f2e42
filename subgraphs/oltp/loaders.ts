import DataLoader from 'dataloader'
import type { Connection } from '#platform/database/pages.ts'
import { findPageIdsPerParent, loadNodes, type PerParentQuery } from '#platform/database/pagesPerParent.ts'
import { findCurrentTenant } from '#platform/database/tenantScope.ts'
import { isUuid } from '#platform/graph/ids.ts'
import type { Database } from './database.ts'
import { batchMetrics } from './services/campaigns/campaignMetrics.ts'
import { batchStepsOfCampaigns, batchStepsOfTemplates } from './services/campaigns/campaignSteps.ts'
import { batchAddressesOfServers, batchSmtpIps, batchVpsInstances } from './services/infrastructure.ts'
import { batchErrorPages, type ErrorPageKey } from './services/leadFiles/importLists.ts'
import { TENANT_IP_COLUMNS } from './services/rows.ts'

/** A page of a list within a parent. */
export type PageKey = { parentId: string; first?: number | null; after?: string | null }

export type Loaders = ReturnType<typeof makeLoaders>

/**
 * Loaders of one request. What many parents ask in the same tick becomes one statement, whatever their number.
 * Nothing is found for an id that is no UUID, that is another tenant's, or while no tenant is in scope (staff, services).
 */
export function makeLoaders(db: Database) {
  const live = (ids: readonly string[]) => ({ where: { id: { in: [...ids] }, deletedAt: null } })
  const all = (ids: readonly string[]) => ({ where: { id: { in: [...ids] } } })
  const campaigns = rowLoader((ids) => db.tenant.campaign.findMany(live(ids)))
  const steps = rowLoader((ids) => db.tenant.campaignSequenceStep.findMany(live(ids)))
  const enrollments = rowLoader((ids) => db.tenant.campaignEnrollment.findMany(all(ids)))
  const messages = rowLoader((ids) => db.tenant.inboxMessageRef.findMany(all(ids)))
  const conversations = rowLoader((ids) => db.tenant.conversation.findMany(all(ids)))
  const leads = rowLoader((ids) => db.tenant.lead.findMany(live(ids)))
  const templates = rowLoader((ids) => db.tenant.template.findMany(live(ids)))
  const companies = rowLoader((ids) => db.tenant.company.findMany(live(ids)))
  const domains = rowLoader((ids) => db.tenant.domain.findMany(live(ids)))
  const emailAccounts = rowLoader((ids) => db.tenant.emailAccount.findMany(live(ids)))
  const ipAssignments = rowLoader((ids) => db.tenant.domainIpAssignment.findMany(all(ids)))
  const newestFirst = [{ column: 'created_at', direction: 'desc' }] as const
  const isLive = () => 't.deleted_at IS NULL'

  const pagesOf = <Row>(
    nodes: DataLoader<string, Row | null>,
    list: Pick<PerParentQuery, 'table' | 'parentColumn' | 'where'>,
  ) => pageLoader(db, { ...list, sort: newestFirst }, nodes)

  return {
    campaigns,
    steps,
    messages,
    conversations,
    leads,
    templates,
    companies,
    domains,
    emailAccounts,
    leadImports: rowLoader((ids) => db.tenant.leadImport.findMany(all(ids))),
    leadExports: rowLoader((ids) => db.tenant.leadExport.findMany(all(ids))),
    tenants: rowLoader((ids) => db.tenant.tenant.findMany(live(ids))),
    users: rowLoader((ids) => db.tenant.user.findMany(live(ids))),
    plans: rowLoader((ids) => db.tenant.plan.findMany(all(ids))),
    /** Addresses as the tenant sees them. */
    smtpIps: rowLoader((ids) => db.tenant.smtpIpAddress.findMany({ ...all(ids), select: TENANT_IP_COLUMNS })),
    /** Addresses and servers as staff see them: ask for them only after `requireStaff`. */
    staffSmtpIps: new DataLoader(async (ids: readonly string[]) => batchSmtpIps(db, ids)),
    staffVpsInstances: new DataLoader(async (ids: readonly string[]) => batchVpsInstances(db, ids)),
    staffAddressesOfServer: new DataLoader(async (ids: readonly string[]) => batchAddressesOfServers(db, ids)),

    metrics: new DataLoader(async (ids: readonly string[]) => batchMetrics(db, ids)),
    stepsOfCampaign: new DataLoader(async (ids: readonly string[]) => batchStepsOfCampaigns(db, ids)),
    stepsOfTemplate: new DataLoader(async (ids: readonly string[]) => batchStepsOfTemplates(db, ids)),
    messagesOfContent: pageLoader(
      db,
      {
        table: 'inbox_message_refs',
        parentColumn: 'content_storage_key',
        parentType: 'varchar',
        sort: [{ column: 'created_at', direction: 'asc' }],
      },
      messages,
    ),

    errorsOfImport: new DataLoader(async (keys: readonly ErrorPageKey[]) => batchErrorPages(db, keys), {
      cache: false,
    }),

    messagesOfCampaign: pagesOf(messages, { table: 'inbox_message_refs', parentColumn: 'campaign_id' }),
    messagesOfConversation: pagesOf(messages, { table: 'inbox_message_refs', parentColumn: 'thread_id' }),
    messagesOfLead: pagesOf(messages, { table: 'inbox_message_refs', parentColumn: 'lead_id' }),
    messagesOfEmailAccount: pagesOf(messages, { table: 'inbox_message_refs', parentColumn: 'email_account_id' }),
    enrollmentsOfCampaign: pagesOf(enrollments, { table: 'campaign_enrollments', parentColumn: 'campaign_id' }),
    enrollmentsOfLead: pagesOf(enrollments, { table: 'campaign_enrollments', parentColumn: 'lead_id' }),
    campaignsOfCompany: pagesOf(campaigns, { table: 'campaigns', parentColumn: 'company_id', where: isLive }),
    domainsOfCompany: pagesOf(domains, { table: 'domains', parentColumn: 'company_id', where: isLive }),
    emailAccountsOfDomain: pagesOf(emailAccounts, {
      table: 'email_accounts',
      parentColumn: 'domain_id',
      where: isLive,
    }),
    ipAssignmentsOfDomain: pagesOf(ipAssignments, { table: 'domain_ip_assignments', parentColumn: 'domain_id' }),
  }
}

function rowLoader<Row extends { id: string }>(
  find: (ids: string[]) => PromiseLike<Row[]>,
): DataLoader<string, Row | null> {
  return new DataLoader(async (ids) => {
    const known = findCurrentTenant() === null ? [] : ids.filter(isUuid).map((id) => id.toLowerCase())
    const rows = known.length === 0 ? [] : await find(known)
    const byId = new Map(rows.map((row) => [row.id, row]))
    return ids.map((id) => byId.get(id.toLowerCase()) ?? null)
  })
}

/** Pages of a nested list: parents that ask for the same page share one statement, and their rows another. */
function pageLoader<Row>(
  db: Database,
  list: Omit<PerParentQuery, 'parentIds' | 'first' | 'after'>,
  nodes: DataLoader<string, Row | null>,
): DataLoader<PageKey, Connection<Row>, string> {
  const pageOf = ({ first, after }: PageKey) => JSON.stringify([first ?? null, after ?? null])
  const loadPage = async (keys: readonly PageKey[]) => {
    const parentIds = keys.map(({ parentId }) => parentId)
    const ids = await findPageIdsPerParent(db.tenantSql, { ...list, ...keys[0], parentIds })
    return Promise.all(
      keys.map(async (key) => {
        const page = ids.get(key.parentId)
        if (!page) throw new Error(`no page for ${key.parentId}`)
        return [key, await loadNodes(page, (id) => nodes.load(id))] as const
      }),
    )
  }
  return new DataLoader(
    async (keys) => {
      const groups = new Map<string, PageKey[]>()
      for (const key of keys) {
        const group = groups.get(pageOf(key))
        if (group) group.push(key)
        else groups.set(pageOf(key), [key])
      }
      // One page's bad cursor is not another page's fault.
      const outcomes = await Promise.all(
        [...groups.values()].map((group) =>
          loadPage(group).catch((error: Error) => group.map((key) => [key, error] as const)),
        ),
      )
      const loaded = new Map<PageKey, Connection<Row> | Error>(outcomes.flat())
      return keys.map((key) => loaded.get(key) ?? new Error(`no page for ${key.parentId}`))
    },
    { cacheKeyFn: (key) => JSON.stringify([key.parentId, key.first ?? null, key.after ?? null]) },
  )
}
