import { randomUUID } from 'node:crypto'
import { evaluateAlerts } from '../../../subgraphs/queue/engine/alerts.ts'
import { enqueue, openQueueDatabase, request, silent } from './queueDatabase.ts'

/** The clock that the evaluator goes by: to come, since what is enqueued by the real one must be due. */
const START = Date.parse('2100-03-02T10:00:00Z')
export const at = (seconds: number) => new Date(START + seconds * 1_000)

const TABLES = [
  ...['queue_alert_history', 'queue_alerts', 'jobs', 'job_logs', 'dead_letter_jobs', 'worker_leases', 'workers'],
  'outbox_events',
]

/** A queue tier's database with alerts of the test's own, evaluated by a clock of the test's own. */
export async function openAlertDesk() {
  const queue = await openQueueDatabase()
  const lookedJustNow = () => queue.sql.query(`UPDATE chore_marks SET reached_at = $1 WHERE name = 'alerts'`, [at(-10)])
  const watch = async (alertType: string, changes: Record<string, unknown> = {}): Promise<string> => {
    const id = randomUUID()
    const row = { id, name: `test ${alertType}`, alert_type: alertType, threshold: 1, hold_seconds: 0, ...changes }
    const names = Object.keys(row)
    await queue.sql.query(
      `INSERT INTO queue_alerts (${names.join(', ')}) VALUES (${names.map((_, index) => `$${index + 1}`).join(', ')})`,
      Object.values(row),
    )
    return row.id
  }
  const evaluate = (seconds: number) => evaluateAlerts(queue.sql, { log: silent, now: at(seconds) })
  return {
    queue,
    sql: queue.sql,
    watch,
    evaluate,
    /** Nothing is left, every queue is on. */
    async clear() {
      for (const table of TABLES) await queue.sql.query(`DELETE FROM ${table}`)
      await queue.sql.query('UPDATE job_queues SET is_active = true')
      await lookedJustNow()
    },
    /** What the alerts' values are, by way of a threshold that each of them is above. */
    async measure(alertType: string, changes: Record<string, unknown> = {}) {
      await queue.sql.query('DELETE FROM queue_alert_history')
      await queue.sql.query('DELETE FROM queue_alerts')
      await lookedJustNow()
      await watch(alertType, { threshold: -1, ...changes })
      const { fired } = await evaluate(0)
      return { value: fired[0]?.value, message: fired[0]?.message }
    },
    /** So many jobs wait, and no others. */
    async setWaiting(count: number, changes: Record<string, unknown> = {}) {
      await queue.sql.query('DELETE FROM jobs')
      await enqueue(queue.sql, ...Array.from({ length: count }, () => request(changes)))
    },
    close: () => queue.close(),
  }
}
export type AlertDesk = Awaited<ReturnType<typeof openAlertDesk>>
