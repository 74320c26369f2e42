import type { DateRange } from '#graphql/oltp'
import type { SortField } from '#platform/database/pages.ts'

/** What a client says of the page it wants; `findPage` checks it. */
export type PageInput = { first?: number | null; after?: string | null }

/** The order of most lists; ties are ordered by id. */
export const NEWEST_FIRST: readonly SortField[] = [{ field: 'createdAt', direction: 'desc' }]

/** A half-open span of time as Prisma takes it; none doesn't filter. */
export function filterPeriod(range: DateRange | null | undefined) {
  return range ? { gte: range.from, lt: range.to } : undefined
}
