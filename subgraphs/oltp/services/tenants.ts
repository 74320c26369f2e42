import type { Role } from '#graphql/oltp'
import { now } from '#platform/clock.ts'
import { findPage } from '#platform/database/pages.ts'
import { AppError } from '#platform/errors.ts'
import type { Context } from '../context.ts'
import type { Database } from '../database.ts'
import { NEWEST_FIRST, type PageInput } from './lists.ts'
import { subscriptionAt } from './plans/planPeriod.ts'
import type { SubscriptionRow, TenantRow } from './rows.ts'

const ROLES: readonly string[] = ['owner', 'admin', 'manager', 'employee', 'viewer'] satisfies Role[]

/**
 * The caller's tenant.
 * @throws AppError NOT_FOUND when the token names one that doesn't exist
 */
export async function getTenant({ loaders }: Context, tenantId: string): Promise<TenantRow> {
  const tenant = await loaders.tenants.load(tenantId)
  if (!tenant) throw new AppError('NOT_FOUND', 'this tenant does not exist')
  return tenant
}

/** Who is asking; null for staff, who belong to no tenant. */
export async function findViewer(context: Context) {
  const { tenantId, userId, roles } = context.caller
  if (tenantId === null) return null
  const [tenant, user] = await Promise.all([
    getTenant(context, tenantId),
    userId === null ? null : context.loaders.users.load(userId),
  ])
  return { tenant, user, roles: readRoles(roles) }
}

/** The roles of a list that tenants know. */
export function readRoles(roles: readonly string[]): Role[] {
  return roles.filter((role): role is Role => ROLES.includes(role))
}

/** A page of the tenant's members, in the order they joined. */
export function findTeam(db: Database, page: PageInput) {
  return findPage(db.tenant.tenantUser, {
    ...page,
    where: { deletedAt: null },
    sort: [{ field: 'createdAt', direction: 'asc' }],
  })
}

/** A page of the tenant's companies, newest first. */
export function findCompanies(db: Database, page: PageInput) {
  return findPage(db.tenant.company, { ...page, where: { deletedAt: null }, sort: NEWEST_FIRST })
}

/** The tenant's subscription, unless cancelled, with the plan and the period that are now. */
export async function findSubscription(db: Database): Promise<SubscriptionRow | null> {
  const subscription = await db.tenant.subscription.findFirst({ where: { status: { not: 'cancelled' } } })
  return subscription && subscriptionAt(subscription, now())
}

/** Plans that can be subscribed to, smallest first. */
export async function findPlans(db: Database) {
  return await db.tenant.plan.findMany({
    where: { isActive: true },
    orderBy: [{ maxEmailsPerMonth: { sort: 'asc', nulls: 'last' } }, { id: 'asc' }],
  })
}
