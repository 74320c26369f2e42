import type { SortValue } from './cursors.ts'
import type { SortField } from './pages.ts'

type Filter = Record<string, unknown>

/** Prisma's `orderBy` for an order. */
export function keysetOrder(sort: readonly SortField[]): Filter[] {
  return sort.map(({ field, direction, nulls }) => at(field, nulls ? { sort: direction, nulls } : direction))
}

/** Prisma's filter for the rows after a place in an order. */
export function keysetFilter(sort: readonly SortField[], place: readonly SortValue[]): Filter {
  const alternatives: Filter[] = []
  const equal: Filter[] = []
  sort.forEach((column, index) => {
    const value = place[index] as SortValue
    const after = beyond(column, value)
    if (after) alternatives.push({ AND: [...equal, after] })
    equal.push(value === null ? isNull(column.field) : at(column.field, { equals: value }))
  })
  return { AND: [indexBound(sort[0], place[0]), { OR: alternatives }] }
}

/** The value of a sorted field in a row. */
export function valueAt(row: unknown, field: string): SortValue {
  const value = field.split('.').reduce<unknown>((part, name) => (part as Filter | null)?.[name] ?? null, row)
  return value as SortValue
}

/** Implied by the rest, but said apart: PostgreSQL starts an index scan at a plain bound, never at an OR. */
function indexBound(column: SortField | undefined, value: SortValue | undefined): Filter {
  if (!column || value == null || column.nulls === 'last') return {}
  return at(column.field, { [column.direction === 'asc' ? 'gte' : 'lte']: value })
}

/** Rows strictly after a value in one column; null if there can be none. */
function beyond({ field, direction, nulls }: SortField, value: SortValue): Filter | null {
  const nullsLast = (nulls ?? (direction === 'asc' ? 'last' : 'first')) === 'last'
  if (value === null) return nullsLast ? null : { NOT: isNull(field) }
  const further = at(field, { [direction === 'asc' ? 'gt' : 'lt']: value })
  return nulls === 'last' ? { OR: [further, isNull(field)] } : further
}

/** Over a relation, a missing row counts as null: LEFT JOIN sorts it so. */
function isNull(field: string): Filter {
  return field.includes('.') ? { NOT: at(field, { not: null }) } : { [field]: null }
}

function at(field: string, leaf: unknown): Filter {
  return field.split('.').reduceRight<unknown>((nested, name) => ({ [name]: nested }), leaf) as Filter
}
