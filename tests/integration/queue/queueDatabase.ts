import { randomUUID } from 'node:crypto'
import { DEMO_TENANTS } from '#platform/contracts/demo.ts'
import { openTierDatabase } from '#platform/database/tierDatabase.ts'
import { makeLog } from '#platform/log.ts'
import { PrismaClient } from '#prisma/queue'
import { enqueueJobs } from '../../../subgraphs/queue/engine/enqueue.ts'
import { registerWorker } from '../../../subgraphs/queue/engine/registry.ts'
import { createTierDatabase } from '../../support/postgres.ts'

export const { demo, rival } = DEMO_TENANTS
export const silent = makeLog('test', 'silent')

/** A queue tier's database of the test file's own. */
export async function openQueueDatabase() {
  const database = await createTierDatabase('queue')
  const db = openTierDatabase(database, PrismaClient)
  return {
    ...database,
    db,
    sql: db.systemSql,
    async close() {
      await db.close()
      await database.drop()
    },
  }
}
export type QueueDatabase = Awaited<ReturnType<typeof openQueueDatabase>>

/** A job as a producer asks for it: of the demo tenant, in the notification queue, with a key of its own. */
export function request(changes: Record<string, unknown> = {}) {
  return {
    tenantId: demo,
    source: 'test',
    key: randomUUID(),
    queueName: 'notification-delivery',
    jobType: 'echo',
    payload: { text: 'hello' },
    ...changes,
  }
}

/** Enqueues jobs and answers their ids. */
export async function enqueue(sql: QueueDatabase['sql'], ...requests: object[]): Promise<string[]> {
  const { results } = await enqueueJobs(sql, requests)
  return results.map(({ jobId, error }) => {
    if (jobId === null) throw new Error(error ?? 'not enqueued')
    return jobId
  })
}

/** A registered worker's id. */
export async function makeWorker(sql: QueueDatabase['sql']): Promise<string> {
  const id = randomUUID()
  await registerWorker(sql, { id, host: 'test', pid: 1, queues: ['notification-delivery'] })
  return id
}

type JobState = {
  id: string
  status: string
  attempt_count: number
  lease_id: string | null
  run_at: Date
  last_error_message: string | null
}

/** Jobs as they stand, in the order of the ids; one that a lease holds is in work, and its attempt counts. */
export async function readJobs(sql: QueueDatabase['sql'], ids: readonly string[]): Promise<JobState[]> {
  const { rows } = await sql.query<JobState>(
    `SELECT j.id, CASE WHEN w.id IS NULL THEN j.status ELSE 'processing' END AS status,
       j.attempt_count + (w.id IS NOT NULL)::int AS attempt_count, w.lease_id, j.run_at, j.last_error_message
     FROM jobs j LEFT JOIN jobs_in_work(NULL) w ON w.tenant_id = j.tenant_id AND w.id = j.id WHERE j.id = ANY($1)`,
    [ids],
  )
  return ids.map((id) => rows.find((row) => row.id === id) as JobState)
}

type Truthy<Value> = Exclude<Value, false | null | undefined | 0 | ''>

/** Waits until `check` answers something true, and answers that. */
export async function until<Value>(check: () => Promise<Value> | Value, timeoutMs = 30_000): Promise<Truthy<Value>> {
  const deadline = Date.now() + timeoutMs
  for (;;) {
    const value = await check()
    if (value) return value as Truthy<Value>
    if (Date.now() > deadline) throw new Error(`not true within ${timeoutMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
