import type { z } from 'zod'
import { runAsTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'

export type RecordStatus = 'recorded' | 'duplicate' | 'rejected'
export type Outcome = { eventId: string; status: RecordStatus; error: string | null }

/** Something told once or more often, under an id that its producer chose. */
type Told = { eventId: string; tenantId: string }

export type RecordOptions<Item extends Told> = {
  schema: z.ZodType<Item>
  /** Writes one tenant's items in one transaction, as that tenant; answers the ids of those not written before. */
  write: (items: readonly Item[]) => Promise<ReadonlySet<string>>
}

const MOST_ITEMS = 1000
const TENANTS_AT_ONCE = 4

/** Characters or values that PostgreSQL doesn't take, and broken constraints: the item is at fault, not the database. */
const ITEM_FAULT = /^2[23]/

/**
 * Records items of any tenants, each once however often it is told, and answers for each in its place. A faulty item is
 * rejected alone. Anything else that goes wrong fails the call: to repeat it is harmless.
 * @throws AppError LIMIT_REACHED for more than 1000 items
 */
export async function recordOnce<Item extends Told>(
  inputs: readonly (object & { eventId: string })[],
  { schema, write }: RecordOptions<Item>,
): Promise<Outcome[]> {
  if (inputs.length > MOST_ITEMS) throw new AppError('LIMIT_REACHED', `at most ${MOST_ITEMS} at once`)
  const outcomes: Outcome[] = []
  const byTenant = new Map<string, Map<string, { item: Item; outcomes: Outcome[] }>>()
  for (const input of inputs) {
    const outcome: Outcome = { eventId: input.eventId, status: 'duplicate', error: null }
    outcomes.push(outcome)
    const parsed = schema.safeParse(input)
    if (!parsed.success) {
      Object.assign(outcome, { status: 'rejected', error: describeIssues(parsed.error) })
      continue
    }
    const item = { ...parsed.data, eventId: parsed.data.eventId.toLowerCase() }
    const tenantId = item.tenantId.toLowerCase()
    const items = byTenant.get(tenantId) ?? new Map()
    byTenant.set(tenantId, items)
    const told = items.get(item.eventId) ?? { item, outcomes: [] }
    items.set(item.eventId, told)
    told.outcomes.push(outcome)
  }
  await inTurns([...byTenant], async ([tenantId, items]) => {
    const batch = [...items.values()].map(({ item }) => item)
    const written = await runAsTenant(tenantId, () => writeOrSplit(batch, write))
    for (const [eventId, told] of items) settle(told.outcomes, written.get(eventId))
  })
  return outcomes
}

/** Told twice in one call, the first one counts and the rest are duplicates of it, or no better than it. */
function settle([first, ...rest]: Outcome[], result: Result | undefined) {
  Object.assign(first as Outcome, result)
  if (result?.status === 'rejected') for (const outcome of rest) Object.assign(outcome, result)
}

type Result = Pick<Outcome, 'status' | 'error'>
type Written = Map<string, Result>

/** Halves a batch that one item spoils until that item stands alone. */
async function writeOrSplit<Item extends Told>(
  items: readonly Item[],
  write: RecordOptions<Item>['write'],
): Promise<Written> {
  try {
    const fresh = await write(items)
    return new Map(
      items.map(({ eventId }) => [eventId, { status: fresh.has(eventId) ? 'recorded' : 'duplicate', error: null }]),
    )
  } catch (error) {
    if (!isItemFault(error)) throw error
    const [only] = items
    if (items.length === 1 && only) return new Map([[only.eventId, { status: 'rejected', error: error.message }]])
    const middle = Math.ceil(items.length / 2)
    const first = await writeOrSplit(items.slice(0, middle), write)
    return new Map([...first, ...(await writeOrSplit(items.slice(middle), write))])
  }
}

function isItemFault(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && ITEM_FAULT.test(String(error.code))
}

function describeIssues(error: z.ZodError): string {
  return error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ')
}

/** A few tenants at a time: a large delivery leaves connections to everybody else. */
async function inTurns<Part>(parts: Part[], work: (part: Part) => Promise<void>): Promise<void> {
  const worker = async () => {
    for (let part = parts.pop(); part !== undefined; part = parts.pop()) await work(part)
  }
  await Promise.all(Array.from({ length: TENANTS_AT_ONCE }, worker))
}
