import type { TemplateFilter } from '#graphql/oltp'
import { findPage } from '#platform/database/pages.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import type { Database } from '../../database.ts'
import { NEWEST_FIRST, type PageInput } from '../lists.ts'
import { filterSearch, filterText } from '../texts.ts'

/** More folders or tags than anybody finds their way in; the rest is found by searching. */
const MAX_GROUPS = 1000

const FOLDERS = `
  SELECT folder AS name, count(*)::int AS "templateCount" FROM templates
  WHERE tenant_id = $1 AND deleted_at IS NULL AND folder IS NOT NULL GROUP BY folder ORDER BY folder LIMIT ${MAX_GROUPS}`

const TAGS = `
  SELECT tag AS name, count(*)::int AS "templateCount" FROM templates, unnest(tags) AS tag
  WHERE tenant_id = $1 AND deleted_at IS NULL GROUP BY tag ORDER BY tag LIMIT ${MAX_GROUPS}`

/** What templates are sorted into, and how many are in it. */
export type TemplateGroup = { name: string; templateCount: number }

/**
 * A page of the tenant's templates, newest first.
 * @throws AppError INVALID_INPUT for a bad page or cursor
 */
export function findTemplates(db: Database, { filter, ...page }: PageInput & { filter?: TemplateFilter | null }) {
  const search = filterSearch(filter?.search)
  const tag = filterText(filter?.tag, 'tag')
  const where = {
    deletedAt: null,
    folder: filterText(filter?.folder, 'folder'),
    ...(tag !== undefined && { tags: { has: tag } }),
    ...(search && { OR: [{ name: search }, { subject: search }] }),
  }
  return findPage(db.tenant.template, { ...page, where, sort: NEWEST_FIRST })
}

/** The folders of the tenant's templates, by name. */
export async function findTemplateFolders({ tenantSql }: Database): Promise<TemplateGroup[]> {
  return (await tenantSql.query<TemplateGroup>(FOLDERS, [currentTenant()])).rows
}

/** The tags of the tenant's templates, by name. */
export async function findTemplateTags({ tenantSql }: Database): Promise<TemplateGroup[]> {
  return (await tenantSql.query<TemplateGroup>(TAGS, [currentTenant()])).rows
}
