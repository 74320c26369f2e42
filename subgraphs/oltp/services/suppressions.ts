import { findPage } from '#platform/database/pages.ts'
import type { Database } from '../database.ts'
import { NEWEST_FIRST, type PageInput } from './lists.ts'

/** A page of whom the tenant must not write to, newest first. */
export function findSuppressions(db: Database, page: PageInput) {
  return findPage(db.tenant.suppression, { ...page, sort: NEWEST_FIRST })
}
