import type pg from 'pg'
import { loadPeer } from '../peers/loadPeer.ts'
import { BATCH, CONCURRENCY, type Contender, type Payload, payloadOf } from './contender.ts'
import { openPeerPool } from './peerPool.ts'
import type { Servers } from './servers.ts'

type Options = { pgPool: pg.Pool; preset: object; noHandleSignals: true }
type GraphileWorker = {
  Logger: new (factory: () => () => void) => object
  makeWorkerUtils(options: Pick<Options, 'pgPool' | 'preset'>): Promise<{
    migrate(): Promise<void>
    addJob(identifier: string, payload: object): Promise<unknown>
    addJobs(jobs: readonly { identifier: string; payload: object }[]): Promise<unknown>
    release(): Promise<void>
  }>
  run(
    options: Options & { taskList: Record<string, (payload: Payload) => void>; parsedCronItems: [] },
  ): Promise<{ stop(): Promise<void> }>
}

const JOBS = 'graphile_worker._private_jobs'

export async function openGraphileWorker(servers: Servers): Promise<Contender> {
  const { Logger, makeWorkerUtils, run } = await loadPeer<GraphileWorker>('graphile-worker')
  const { pool, isTrue, count } = openPeerPool(await servers.createPeerDatabase('bench_graphile_worker'))
  const preset = {
    worker: {
      concurrentJobs: CONCURRENCY,
      // Its guide to performance: take jobs in batches, and complete in one statement what ends in the same moment.
      localQueue: { size: BATCH },
      completeJobBatchDelay: 0,
      failJobBatchDelay: 0,
      logger: new Logger(() => () => {}),
    },
  }
  const utils = await makeWorkerUtils({ pgPool: pool, preset })
  await utils.migrate()
  return {
    name: 'graphile-worker',
    enqueue: (job) => utils.addJob('send', payloadOf(job)),
    enqueueMany: (jobs) => utils.addJobs(jobs.map((job) => ({ identifier: 'send', payload: payloadOf(job) }))),
    async work(onRun) {
      const taskList = { send: ({ step }: Payload) => onRun(step) }
      const runner = await run({ pgPool: pool, preset, taskList, parsedCronItems: [], noHandleSignals: true })
      return () => runner.stop()
    },
    isDone: () => isTrue(`NOT EXISTS (SELECT FROM ${JOBS})`),
    countUnfinished: () => count(JOBS),
    clear: () => pool.query(`TRUNCATE ${JOBS}`),
    analyze: () => pool.query(`ANALYZE ${JOBS}`),
    async close() {
      await utils.release()
      await pool.end()
    },
  }
}
