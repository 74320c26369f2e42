import type { UpdateQueueInput } from '#graphql/queue'
import { requireStaff } from '#platform/caller/caller.ts'
import { PLATFORM_TENANT } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { audit } from '#platform/outbox/announce.ts'
import type { Context } from '../context.ts'
import { inTransaction } from '../engine/sql.ts'
import type { QueueRow } from './rows.ts'

type Limit = { column: string; least: number; most: number; isNullable?: true; isWhole?: false }

const DAY_SECONDS = 86_400

/** What operators may change of a queue, and within which bounds; a null takes away a limit that need not be there. */
const LIMITS = {
  defaultPriority: { column: 'default_priority', least: 1, most: 32_767 },
  maxConcurrentJobs: { column: 'max_concurrent_jobs', least: 1, most: 100_000 },
  maxConcurrentPerTenant: { column: 'max_concurrent_per_tenant', least: 1, most: 100_000, isNullable: true },
  maxConcurrentPerKey: { column: 'max_concurrent_per_key', least: 1, most: 100_000, isNullable: true },
  timeoutSeconds: { column: 'timeout_seconds', least: 1, most: 7 * DAY_SECONDS },
  retryAttempts: { column: 'retry_attempts', least: 1, most: 100 },
  backoffBaseMs: { column: 'backoff_base_ms', least: 0, most: 3_600_000 },
  backoffMultiplier: { column: 'backoff_multiplier', least: 1, most: 100, isWhole: false },
  rateLimitPerMinute: { column: 'rate_limit_per_minute', least: 1, most: 1_000_000, isNullable: true },
  rateLimitPerTenant: { column: 'rate_limit_per_tenant', least: 1, most: 1_000_000, isNullable: true },
  rateLimitPerKey: { column: 'rate_limit_per_key', least: 1, most: 1_000_000, isNullable: true },
  keepCompletedHours: { column: 'keep_completed_hours', least: 0, most: 366 * 24 },
} as const satisfies Record<string, Limit>

type Setting = keyof typeof LIMITS | 'isActive'
type Changes = Partial<Record<Setting, number | boolean | null>>

/**
 * Stops a queue from running jobs, which it goes on accepting, or lets it run them again. What is in work goes on.
 * @throws AppError FORBIDDEN, NOT_FOUND
 */
export function setQueueActive(context: Context, { name }: { name: string }, isActive: boolean): Promise<QueueRow> {
  return changeQueue(context, name, isActive ? 'queue.resumed' : 'queue.paused', { isActive })
}

/**
 * Changes limits of a queue; claims obey them from then on. What is not given stays.
 * @throws AppError FORBIDDEN, NOT_FOUND; INVALID_INPUT for a value out of bounds, or for no change at all
 */
export function updateQueue(context: Context, { name, ...given }: UpdateQueueInput): Promise<QueueRow> {
  requireStaff(context.caller, 'operator')
  const changes: Changes = {}
  for (const [setting, value] of Object.entries(given) as [keyof typeof LIMITS, number | null | undefined][]) {
    if (value !== undefined) changes[setting] = checkLimit(setting, value)
  }
  if (Object.keys(changes).length === 0) throw new AppError('INVALID_INPUT', 'input: names nothing to change')
  return changeQueue(context, name, 'queue.updated', changes)
}

async function changeQueue(context: Context, name: string, action: string, changes: Changes): Promise<QueueRow> {
  const { userId, requestId } = requireStaff(context.caller, 'operator')
  const { db } = context
  await inTransaction(db.systemSql, async (tx) => {
    const { rows } = await tx.query(`SELECT ${COLUMNS} FROM job_queues WHERE name = $1 FOR UPDATE`, [name])
    const before = rows[0] as Record<Setting, unknown> | undefined
    if (!before) throw new AppError('NOT_FOUND', 'there is no such queue')
    const changed = (Object.keys(changes) as Setting[]).filter((setting) => changes[setting] !== before[setting])
    if (changed.length === 0) return
    const assignments = changed.map((setting, index) => `${columnOf(setting)} = $${index + 2}`)
    await tx.query(`UPDATE job_queues SET ${assignments.join(', ')} WHERE name = $1`, [
      name,
      ...changed.map((setting) => changes[setting]),
    ])
    await audit(tx, {
      ...{ tenantId: PLATFORM_TENANT, correlationId: requestId, adminUserId: userId, action },
      ...{ resourceType: 'JobQueue', resourceId: name },
      oldValues: Object.fromEntries(changed.map((setting) => [setting, before[setting]])),
      newValues: Object.fromEntries(changed.map((setting) => [setting, changes[setting]])),
    })
  })
  context.relay.wake()
  // A worker that found nothing to do may find something now.
  context.wakeUp.announce([name])
  return db.system.jobQueue.findUniqueOrThrow({ where: { name } })
}

function checkLimit(setting: keyof typeof LIMITS, value: number | null): number | null {
  const limit: Limit | undefined = LIMITS[setting]
  if (!limit) throw new AppError('INVALID_INPUT', `${setting}: is no limit of a queue`)
  const { least, most, isNullable = false, isWhole = true } = limit
  if (value === null && isNullable) return null
  if (value === null || value < least || value > most || (isWhole && !Number.isInteger(value))) {
    throw new AppError('INVALID_INPUT', `${setting}: must be between ${least} and ${most}, not ${value}`)
  }
  return value
}

function columnOf(setting: Setting): string {
  return setting === 'isActive' ? 'is_active' : LIMITS[setting].column
}

const COLUMNS = (['isActive', ...Object.keys(LIMITS)] as Setting[])
  .map((setting) => `${columnOf(setting)} AS "${setting}"`)
  .join(', ')
