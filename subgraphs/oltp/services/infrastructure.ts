import type { SmtpIpFilter, VpsInstanceFilter } from '#graphql/oltp'
import { findPage } from '#platform/database/pages.ts'
import { filterId, isUuid } from '#platform/graph/ids.ts'
import type { Context } from '../context.ts'
import type { Database } from '../database.ts'
import { NEWEST_FIRST, type PageInput } from './lists.ts'
import type { SmtpIpRow, VpsInstanceRow } from './rows.ts'
import { readAsStaff } from './staffAccess.ts'
import { filterText } from './texts.ts'

/** An address: all of it for staff, what they may see of their own for tenants. */
export function findSmtpIp(context: Context, id: string): Promise<SmtpIpRow | null> {
  const { caller, loaders } = context
  if (caller.kind !== 'staff') return loaders.smtpIps.load(id)
  return readAsStaff(context, 'SmtpIpAddress', () => loaders.staffSmtpIps.load(id))
}

/** A server, for staff; null for everyone else. */
export async function findVpsInstance(context: Context, id: string): Promise<VpsInstanceRow | null> {
  const { caller, loaders } = context
  if (caller.kind !== 'staff') return null
  return readAsStaff(context, 'VpsInstance', () => loaders.staffVpsInstances.load(id))
}

/** A page of all servers, newest first. */
export function findVpsInstances(db: Database, { filter, ...page }: PageInput & { filter?: VpsInstanceFilter | null }) {
  const where = { status: filter?.status ?? undefined, region: filterText(filter?.region, 'region') }
  return findPage(db.system.vpsInstance, { ...page, where, sort: NEWEST_FIRST })
}

/** A page of all addresses, newest first. */
export function findSmtpIps(db: Database, { filter, ...page }: PageInput & { filter?: SmtpIpFilter | null }) {
  const where = {
    pool: filter?.pool ?? undefined,
    status: filter?.status ?? undefined,
    vpsInstanceId: filterId(filter?.vpsInstanceId),
  }
  return findPage(db.system.smtpIpAddress, { ...page, where, sort: NEWEST_FIRST })
}

/** Addresses by id, for staff. */
export async function batchSmtpIps(db: Database, ids: readonly string[]): Promise<(SmtpIpRow | null)[]> {
  const rows = await db.system.smtpIpAddress.findMany({ where: { id: { in: ids.filter(isUuid) } } })
  const byId = new Map(rows.map((row) => [row.id, row]))
  return ids.map((id) => byId.get(id.toLowerCase()) ?? null)
}

/** Servers by id, for staff. */
export async function batchVpsInstances(db: Database, ids: readonly string[]): Promise<(VpsInstanceRow | null)[]> {
  const rows = await db.system.vpsInstance.findMany({ where: { id: { in: ids.filter(isUuid) } } })
  const byId = new Map(rows.map((row) => [row.id, row]))
  return ids.map((id) => byId.get(id.toLowerCase()) ?? null)
}

/** The addresses of each server, for staff. */
export async function batchAddressesOfServers(db: Database, serverIds: readonly string[]): Promise<SmtpIpRow[][]> {
  const rows = await db.system.smtpIpAddress.findMany({
    where: { vpsInstanceId: { in: [...serverIds] } },
    orderBy: { ipAddress: 'asc' },
  })
  return serverIds.map((id) => rows.filter((row) => row.vpsInstanceId === id))
}
