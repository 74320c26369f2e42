import { Redis } from 'ioredis'
import { loadPeer } from '../peers/loadPeer.ts'
import { CONCURRENCY, type Contender, type Payload, payloadOf } from './contender.ts'

type BullMq = {
  Queue: new (
    name: string,
    options: object,
  ) => {
    add(name: string, data: object): Promise<unknown>
    addBulk(jobs: readonly { name: string; data: object }[]): Promise<unknown>
    getJobCounts(...states: string[]): Promise<Record<string, number>>
    on(event: 'error', listener: () => void): void
    close(): Promise<void>
  }
  Worker: new (
    name: string,
    run: (job: { data: Payload }) => Promise<void>,
    options: object,
  ) => { on(event: 'error', listener: () => void): void; waitUntilReady(): Promise<unknown>; close(): Promise<void> }
}

const QUEUE = 'send'
const OPEN_STATES = ['waiting', 'active', 'delayed', 'prioritized']

export async function openBullMq(redisUrl: string): Promise<Contender> {
  const { Queue, Worker } = await loadPeer<BullMq>('bullmq')
  const { hostname, port } = new URL(redisUrl)
  const connection = { host: hostname, port: Number(port), maxRetriesPerRequest: null }
  // Not keeping what is done is its fastest way.
  const queue = new Queue(QUEUE, { connection, defaultJobOptions: { removeOnComplete: true } })
  queue.on('error', () => {})
  const redis = new Redis(redisUrl)
  redis.on('error', () => {})
  const count = async (...states: string[]) =>
    Object.values(await queue.getJobCounts(...states)).reduce((sum, jobs) => sum + jobs, 0)
  return {
    name: 'BullMQ',
    enqueue: (job) => queue.add('send', payloadOf(job)),
    enqueueMany: (jobs) => queue.addBulk(jobs.map((job) => ({ name: 'send', data: payloadOf(job) }))),
    async work(onRun) {
      const run = async ({ data }: { data: Payload }) => onRun(data.step)
      const worker = new Worker(QUEUE, run, { connection, concurrency: CONCURRENCY })
      worker.on('error', () => {})
      await worker.waitUntilReady()
      return () => worker.close()
    },
    isDone: async () => (await count(...OPEN_STATES)) === 0,
    countUnfinished: () => count(...OPEN_STATES, 'failed'),
    clear: () => redis.flushdb(),
    analyze: async () => {},
    async close() {
      redis.disconnect()
      await queue.close()
    },
  }
}
