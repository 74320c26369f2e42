import { type Connection, findPage } from '#platform/database/pages.ts'
import { filterId } from '#platform/graph/ids.ts'
import type { ReadContext } from '../context.ts'
import { recordStaffRead } from './reader.ts'
import type { AlertRow, FiringRow } from './rows.ts'

type PageArguments = { first?: number | null; after?: string | null }

/** What the platform wakes its people for, newest first. */
export async function findAlerts(context: ReadContext, page: PageArguments): Promise<Connection<AlertRow>> {
  await recordStaffRead(context, 'QueueAlert')
  const alerts = await findPage(context.db.system.queueAlert, {
    sort: [{ field: 'createdAt', direction: 'desc' }],
    ...page,
  })
  return alerts as Connection<AlertRow>
}

/** When alerts fired, latest first. */
export async function findFirings(
  context: ReadContext,
  { alertId, ...page }: PageArguments & { alertId?: string | null },
): Promise<Connection<FiringRow>> {
  await recordStaffRead(context, 'QueueAlert')
  const firings = await findPage(context.db.system.queueAlertHistory, {
    where: { alertId: filterId(alertId) },
    include: { alert: true },
    sort: [{ field: 'firedAt', direction: 'desc' }],
    ...page,
  })
  return firings as Connection<FiringRow>
}

/** Which alerts burn, in one statement. Only staff have alerts to ask about. */
export async function batchBurning({ db }: ReadContext, alertIds: readonly string[]): Promise<boolean[]> {
  const burning = await db.system.queueAlertHistory.findMany({
    where: { alertId: { in: [...alertIds] }, resolvedAt: null },
    select: { alertId: true },
  })
  const ids = new Set(burning.map(({ alertId }) => alertId))
  return alertIds.map((id) => ids.has(id))
}
