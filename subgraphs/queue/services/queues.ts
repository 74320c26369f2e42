import type { ReadContext } from '../context.ts'
import type { QueueRow } from './rows.ts'

/** All queues, by name. They are the platform's, and every tenant's user may know them. */
export async function findQueues(context: ReadContext): Promise<QueueRow[]> {
  const client = context.caller.tenantId === null ? context.db.system : context.db.tenant
  return client.jobQueue.findMany({ orderBy: { name: 'asc' } })
}

/** Queues by name; null for what is no queue. */
export async function batchQueues(context: ReadContext, names: readonly string[]): Promise<(QueueRow | null)[]> {
  const rows = await findQueues(context)
  const byName = new Map(rows.map((row) => [row.name, row]))
  return names.map((name) => byName.get(name) ?? null)
}
