import { loadPeer } from '../peers/loadPeer.ts'
import { BATCH, type Contender, type Payload, POOL_SIZE, payloadOf } from './contender.ts'
import { openPeerPool } from './peerPool.ts'
import type { Servers } from './servers.ts'

type PgBossModule = {
  PgBoss: new (
    options: object,
  ) => {
    on(event: 'error', listener: () => void): void
    start(): Promise<unknown>
    stop(options: { graceful: boolean }): Promise<void>
    createQueue(name: string, options: object): Promise<void>
    send(name: string, data: object): Promise<unknown>
    insert(name: string, jobs: readonly { data: object }[]): Promise<unknown>
    work(name: string, options: object, run: (jobs: { data: Payload }[]) => Promise<void>): Promise<string>
    offWork(name: string, options: { id?: string; wait: boolean }): Promise<void>
  }
}

const QUEUE = 'send'
const OPEN = `FROM pgboss.job WHERE name = '${QUEUE}' AND state < 'completed'`

export type PgBossOptions = {
  /** Wakes idle workers by NOTIFY; sending is cheaper without. */
  notify: boolean
}

export async function openPgBoss(servers: Servers, { notify }: PgBossOptions): Promise<Contender> {
  const { PgBoss } = await loadPeer<PgBossModule>('pg-boss')
  const connectionString = await servers.createPeerDatabase('bench_pg_boss')
  const { pool, isTrue, count } = openPeerPool(connectionString)
  // No supervision nor schedules: nothing but the jobs is to be measured.
  const quiet = { supervise: false, schedule: false }
  const boss = new PgBoss({ connectionString, max: POOL_SIZE, useListenNotify: notify, ...quiet })
  // A job that an error costs is missed when the round is checked.
  boss.on('error', () => {})
  await boss.start()
  await boss.createQueue(QUEUE, { notify })
  return {
    name: 'pg-boss',
    enqueue: (job) => boss.send(QUEUE, payloadOf(job)),
    enqueueMany: (jobs) =>
      boss.insert(
        QUEUE,
        jobs.map((job) => ({ data: payloadOf(job) })),
      ),
    async work(onRun) {
      // Whole batches, the next one without a pause as long as they are full; three loops, so that one fetches while
      // the others complete.
      const options = { batchSize: BATCH, localConcurrency: 3, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 }
      const id = await boss.work(QUEUE, options, async (jobs) => {
        for (const { data } of jobs) onRun(data.step)
      })
      return () => boss.offWork(QUEUE, { id, wait: true })
    },
    isDone: () => isTrue(`NOT EXISTS (SELECT ${OPEN})`),
    countUnfinished: () => count("pgboss.job WHERE state <> 'completed'"),
    clear: () => pool.query('TRUNCATE pgboss.job CASCADE'),
    analyze: () => pool.query('ANALYZE pgboss.job'),
    async close() {
      await boss.stop({ graceful: false })
      await pool.end()
    },
  }
}
