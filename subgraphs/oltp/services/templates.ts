import type { TemplateFilter } from '#graphql/oltp'
import { findPage } from '#platform/database/pages.ts'
import type { Database } from '../database.ts'
import { NEWEST_FIRST, type PageInput } from './lists.ts'
import { filterSearch, filterText } from './texts.ts'

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
