import type { Connection } from '#platform/database/pages.ts'
import { type Bind, findPageIdsPerParent, type PerParentQuery } from '#platform/database/pagesPerParent.ts'
import { PLATFORM_TENANT, runAsTenant } from '#platform/database/tenantScope.ts'
import { isUuid } from '#platform/graph/ids.ts'
import { groupBy } from '#platform/grouping.ts'
import type { ReadContext } from '../context.ts'
import { recordStaffRead } from './reader.ts'

/** Lists of jobs nested in other tiers' entities. */
export type JobListName = 'campaign' | 'message' | 'transactionalEmail' | 'domain' | 'smtpIp' | 'vpsInstance'

/** A page of a list within a parent. */
export type PageKey = { parentId: string; first?: number | null; after?: string | null }

const ofSubject = (
  typename: string,
  ofQueue?: string,
): Pick<PerParentQuery, 'parentColumn' | 'parentType' | 'where'> => ({
  parentColumn: 'subject_id',
  parentType: 'text',
  where: (bind: Bind) =>
    `t.subject_typename = ${bind(typename)}${ofQueue ? ` AND t.queue_name = ${bind(ofQueue)}` : ''}`,
})

const LISTS: Record<JobListName, Pick<PerParentQuery, 'parentColumn' | 'parentType' | 'where'>> = {
  campaign: { parentColumn: 'campaign_id' },
  message: ofSubject('InboxMessageRef'),
  transactionalEmail: ofSubject('TransactionalEmail'),
  domain: ofSubject('Domain', 'infrastructure-monitoring'),
  smtpIp: ofSubject('SmtpIpAddress', 'infrastructure-monitoring'),
  vpsInstance: ofSubject('VpsInstance', 'infrastructure-monitoring'),
}

/**
 * Pages of job ids for many parents, newest first, one statement for all that ask for the same page. A malformed parent
 * id has an empty page. Staff, who have no tenant, see the platform's own jobs: those that watch servers and addresses.
 */
export async function batchJobPages(
  context: ReadContext,
  list: JobListName,
  keys: readonly PageKey[],
): Promise<Connection<string>[]> {
  const { caller, db } = context
  const tenantId = caller.tenantId ?? PLATFORM_TENANT
  if (caller.tenantId === null) await recordStaffRead(context, 'Job')
  const groups = groupBy(keys, ({ first, after }) => JSON.stringify([first ?? null, after ?? null]))
  const pages = new Map<PageKey, Connection<string>>()
  await Promise.all(
    [...groups.values()].map(async (group) => {
      const [{ first, after }] = group as [PageKey]
      const ids = await runAsTenant(tenantId, () =>
        findPageIdsPerParent(db.tenantSql, {
          table: 'jobs',
          ...LISTS[list],
          parentIds: group.map(({ parentId }) => parentIdOf(parentId)),
          // Ids are UUIDv7: in order of arrival.
          sort: [{ column: 'id', direction: 'desc' }],
          first,
          after,
        }),
      )
      for (const key of group) pages.set(key, ids.get(parentIdOf(key.parentId)) as Connection<string>)
    }),
  )
  return keys.map((key) => pages.get(key) as Connection<string>)
}

/** No job works for the platform tenant's id: a malformed parent's page is empty. */
function parentIdOf(id: string): string {
  return isUuid(id) ? id.toLowerCase() : PLATFORM_TENANT
}
