import pg from 'pg'
import { z } from 'zod'
import { openTierDatabase } from '#platform/database/tierDatabase.ts'
import { makeLog } from '#platform/log.ts'
import { PrismaClient } from '#prisma/queue'
import type { EnqueueResult } from '../../subgraphs/queue/engine/enqueue.ts'
import { Enqueuer } from '../../subgraphs/queue/engine/enqueuer.ts'
import { JobRunner } from '../../subgraphs/queue/engine/jobRunner.ts'
import type { Sql } from '../../subgraphs/queue/engine/sql.ts'
import type { Task } from '../../subgraphs/queue/engine/task.ts'
import { makeWakeUp } from '../../subgraphs/queue/engine/wakeUp.ts'
import { CONCURRENCY, type Contender, type Payload, POOL_SIZE, payloadOf } from './contender.ts'
import type { QueueDatabase } from './servers.ts'

export type OursOptions = {
  name: string
  database: QueueDatabase
  /** Wakes idle workers; without it PostgreSQL does. */
  redisUrl?: string | undefined
  /** Runs jobs in batches of this size instead of one by one. */
  batchSize?: number
}

export type Ours = Contender & {
  /** On the system role. */
  sql: Sql
  /** Enqueues jobs of one tenant. */
  enqueueFor(tenantId: string, jobs: readonly number[]): Promise<void>
}

/** Jobs belong to several tenants in turn. */
const TENANTS = Array.from({ length: 8 }, (_, n) => `0199c0de-0000-7000-8000-00000000000${n}`)
export const QUEUE = 'email-sending'
const JOB_TYPE = 'benchSend'
const LEASE_MS = 30_000
const POLL_MS = 250

const payload = z.object({
  to: z.string(),
  campaign: z.string(),
  step: z.number(),
  tpl: z.string(),
  vars: z.object({ first: z.string(), company: z.string() }),
})

// Ordered, or the planner reads the table from its beginning, where it soon finds none but completed jobs.
const FIRST_WAITING = `
  SELECT FROM jobs WHERE queue_name = '${QUEUE}' AND status = 'queued' AND is_due
  ORDER BY queue_name, tenant_id, priority, seq LIMIT 1`

const log = makeLog('bench', 'silent')

/**
 * Our queue as it is shipped: behind row level security, with log rows, keeping what is done. The jobs have no keys, since
 * no peer looks for repeats either.
 */
export async function openOurs({ name, database, redisUrl, batchSize }: OursOptions): Promise<Ours> {
  const db = openTierDatabase({ ...database, poolSize: POOL_SIZE }, PrismaClient)
  const owner = new pg.Pool({ connectionString: database.ownerUrl, max: 1 })
  owner.on('error', () => {})
  const wakeUp = makeWakeUp(redisUrl, log, db.systemSql)
  const tables = await listTables(owner)
  const enqueuer = new Enqueuer(db.systemSql, wakeUp)
  const check = ({ status, error }: EnqueueResult) => {
    if (status !== 'enqueued') throw new Error(`${name}: ${status}, ${error}`)
  }
  const enqueue = async (requests: readonly object[]) => (await enqueuer.enqueueAll(requests)).forEach(check)
  return {
    name,
    sql: db.systemSql,
    enqueue: async (job) => check(await enqueuer.enqueue(requestFor(tenantOf(job), job))),
    enqueueMany: (jobs) => enqueue(jobs.map((job) => requestFor(tenantOf(job), job))),
    enqueueFor: (tenantId, jobs) => enqueue(jobs.map((job) => requestFor(tenantId, job))),
    async work(onRun) {
      const tasks = [benchTask(onRun, batchSize)]
      const options = { pool: db.systemSql, services: {}, leaseMs: LEASE_MS, pollMs: POLL_MS, wakeUp, log }
      const runner = new JobRunner({ ...options, tasks })
      runner.start()
      return () => runner.stop(1_000)
    },
    async isDone() {
      const { rowCount } = await db.systemSql.query({ name: 'waiting', text: FIRST_WAITING })
      return rowCount === 0
    },
    async countUnfinished() {
      const { rows } = await db.systemSql.query("SELECT count(*)::int AS jobs FROM jobs WHERE status <> 'completed'")
      return rows[0]?.jobs
    },
    clear: () => owner.query(`TRUNCATE ${tables} CASCADE`),
    analyze: () => owner.query('ANALYZE jobs'),
    async close() {
      wakeUp.close()
      await owner.end()
      await db.close()
    },
  }
}

function tenantOf(job: number): string {
  return TENANTS[job % TENANTS.length] as string
}

function requestFor(tenantId: string, job: number) {
  return { tenantId, queueName: QUEUE, jobType: JOB_TYPE, payload: payloadOf(job) }
}

function benchTask(onRun: (job: number) => void, batchSize: number | undefined): Task<object, Payload> {
  return {
    jobType: JOB_TYPE,
    queueName: QUEUE,
    payload,
    ...(batchSize ? { batch: { size: batchSize, lingerMs: 0 }, concurrency: 4 } : { concurrency: CONCURRENCY }),
    async run(items) {
      for (const item of items) onRun(item.payload.step)
      return undefined
    },
  }
}

/** Whatever rounds leave behind: every table but the queues themselves and the migrations' history. */
async function listTables(owner: pg.Pool): Promise<string> {
  const { rows } = await owner.query(
    `SELECT string_agg(format('%I', tablename), ', ') AS tables FROM pg_tables
     WHERE schemaname = 'public' AND tablename NOT IN ('job_queues', '_prisma_migrations')`,
  )
  return rows[0]?.tables
}
