import { v7 as uuidv7 } from 'uuid'
import { type Caller, requireUser } from '#platform/caller/caller.ts'
import { type AuditJob, auditJob } from '#platform/contracts/auditEntry.ts'
import { type Connection, findPage } from '#platform/database/pages.ts'
import type { TenantPool } from '#platform/database/tenantPool.ts'
import { currentTenant, PLATFORM_TENANT, runAsTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { isUuid } from '#platform/graph/ids.ts'
import type { AdminAuditLog } from '#prisma/analytics'
import type { AnalyticsDatabase } from '../context.ts'

import { type Outcome, recordOnce } from './recordOnce.ts'

// Place, previous_hash and row_hash are the database's doing: its trigger makes one tenant's writers queue up.
const APPEND = `
  INSERT INTO admin_audit_log (tenant_id, event_id, admin_user_id, action, resource_type, resource_id, old_values,
    new_values, ip_address, user_agent, notes, created_at)
  SELECT $1, entry.event_id, entry.admin_user_id, entry.action, entry.resource_type, entry.resource_id,
    entry.old_values, entry.new_values, entry.ip_address, entry.user_agent, entry.notes, entry.created_at
  FROM json_populate_recordset(NULL::admin_audit_log, $2) WITH ORDINALITY AS entry
  ORDER BY entry.ordinality
  ON CONFLICT (tenant_id, event_id) DO NOTHING
  RETURNING event_id`

/**
 * Appends entries to the audit logs of their tenants, each once, in the order given. Whoever writes at the same time,
 * each tenant's entries form one chain.
 * @throws AppError LIMIT_REACHED for more than 1000 entries
 */
export function recordAuditEntries(
  sql: TenantPool,
  entries: readonly (object & { eventId: string })[],
): Promise<Outcome[]> {
  return recordOnce<AuditJob>(entries, {
    schema: auditJob,
    write: async (items) => {
      const rows = JSON.stringify(items.map(toRow))
      const appended = await sql.query<{ event_id: string }>(APPEND, [currentTenant(), rows])
      return new Set(appended.rows.map((row) => row.event_id))
    },
  })
}

export type AuditRow = AdminAuditLog
export type AuditFilter = {
  action?: string | null
  resourceType?: string | null
  resourceId?: string | null
  range?: { from: Date | string; to: Date | string } | null
}
type PageArgs = { first?: number | null; after?: string | null }

/** @throws AppError INVALID_INPUT for a resource id without its type */
function findAuditEntries(
  db: AnalyticsDatabase,
  { filter, ...page }: PageArgs & { filter?: AuditFilter | null },
): Promise<Connection<AuditRow>> {
  const { action, resourceType, resourceId, range } = filter ?? {}
  if (resourceId && !resourceType)
    throw new AppError('INVALID_INPUT', 'filter.resourceId: needs resourceType beside it')
  return findPage(db.tenant.adminAuditLog, {
    where: {
      ...(action && { action }),
      ...(resourceType && { resourceType }),
      ...(resourceId && { resourceId }),
      ...(range && { createdAt: { gte: new Date(range.from), lt: new Date(range.to) } }),
    },
    sort: [
      { field: 'createdAt', direction: 'desc' },
      { field: 'id', direction: 'desc' },
    ],
    ...page,
  })
}

/**
 * What a caller may read of the audit log: owners and admins their tenant's; staff the tenant's that the filter names, or
 * the platform's own. That staff read is recorded first, in the platform's own log. Null for a tenant that can't be.
 * @throws AppError FORBIDDEN for everybody else, and for a tenant's user who names a tenant
 */
export async function readAuditLog(
  db: AnalyticsDatabase,
  caller: Caller,
  args: PageArgs & { filter?: (AuditFilter & { tenantId?: string | null }) | null },
): Promise<Connection<AuditRow> | null> {
  if (caller.kind !== 'staff') {
    requireUser(caller, 'owner', 'admin')
    if (args.filter?.tenantId) throw new AppError('FORBIDDEN', 'filter.tenantId: is for staff')
    return findAuditEntries(db, args)
  }
  const tenantId = args.filter?.tenantId ?? PLATFORM_TENANT
  if (!isUuid(tenantId)) return null
  await recordReading(db.tenantSql, caller, tenantId)
  return runAsTenant(tenantId, async () => {
    const page = await findAuditEntries(db, args)
    return { ...page, totalCount: () => runAsTenant(tenantId, page.totalCount) }
  })
}

async function recordReading(sql: TenantPool, staff: Caller, tenantId: string): Promise<void> {
  const reading = {
    eventId: uuidv7(),
    tenantId: PLATFORM_TENANT,
    acceptedAt: new Date().toISOString(),
    adminUserId: staff.userId,
    action: 'auditLog.read',
    resourceType: 'Tenant',
    resourceId: tenantId,
    notes: `staff: ${staff.roles.join(', ')}`,
  }
  const [outcome] = await recordAuditEntries(sql, [reading])
  if (outcome?.status !== 'recorded') throw new AppError('INTERNAL', `reading not audited: ${outcome?.error}`)
}

/** Entries of the tenant in scope by their graph ids, in one statement. */
export async function batchAuditEntries(
  db: AnalyticsDatabase,
  ids: readonly string[],
): Promise<ReadonlyMap<string, AuditRow>> {
  const rows = await db.tenant.adminAuditLog.findMany({ where: { eventId: { in: [...ids] } } })
  return new Map(rows.map((row) => [row.eventId, row]))
}

export type ChainState = { entries: number; brokenAt: bigint | null; headHash: string | null }

const VERIFY = `
  SELECT count(*)::int AS entries, (min(id) FILTER (WHERE NOT fits))::text AS broken_at,
    (SELECT row_hash FROM admin_audit_log WHERE tenant_id = $1 ORDER BY id DESC LIMIT 1) AS head_hash
  FROM (
    SELECT entry.id,
      entry.id = row_number() OVER chain
        AND entry.previous_hash = lag(entry.row_hash, 1, repeat('0', 64)) OVER chain
        AND entry.row_hash = audit_row_hash(entry) AS fits
    FROM admin_audit_log entry WHERE entry.tenant_id = $1 WINDOW chain AS (ORDER BY entry.id)
  ) checked`

/**
 * Recomputes every hash of the log of the tenant in scope. `brokenAt` is the place of the first entry that was changed,
 * put in, or stands behind a removed one. A cut-off tail leaves a chain that fits: only a `headHash` noted elsewhere tells.
 */
export async function verifyChain(sql: TenantPool): Promise<ChainState> {
  const { rows } = await sql.query<{ entries: number; broken_at: string | null; head_hash: string | null }>(VERIFY, [
    currentTenant(),
  ])
  const [state] = rows
  return {
    entries: state?.entries ?? 0,
    brokenAt: state?.broken_at ? BigInt(state.broken_at) : null,
    headHash: state?.head_hash ?? null,
  }
}

function toRow(entry: AuditJob) {
  return {
    event_id: entry.eventId,
    admin_user_id: entry.adminUserId,
    action: entry.action,
    resource_type: entry.resourceType,
    resource_id: entry.resourceId,
    old_values: entry.oldValues,
    new_values: entry.newValues,
    ip_address: entry.ipAddress,
    user_agent: entry.userAgent,
    notes: entry.notes,
    created_at: entry.acceptedAt,
  }
}
