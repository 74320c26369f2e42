import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { startRedis } from '#platform/local/redis.ts'
import { makeWakeUp, type WakeUp } from '../../../subgraphs/queue/engine/wakeUp.ts'
import { findFreePort } from '../../support/freePort.ts'
import { enqueue, openQueueDatabase, type QueueDatabase, request, silent, until } from './queueDatabase.ts'
import { startRunner, task } from './runner.ts'

const QUEUE = 'notification-delivery'
const POLL_MS = 10_000
let queue: QueueDatabase
beforeAll(async () => {
  queue = await openQueueDatabase()
})
afterAll(() => queue.close())

/** A worker that hardly polls, and how long after its enqueueing a job begins, in milliseconds. */
function startHardlyPolling(wakeUp: WakeUp) {
  const begun = new Map<string, number>()
  const runner = startRunner(
    queue,
    [
      task(async ([item]) => {
        if (item) begun.set(item.job.id, performance.now())
        return undefined
      }),
    ],
    { wakeUp, pollMs: POLL_MS },
  )
  const latency = async () => {
    const before = performance.now()
    const [id] = (await enqueue(queue.sql, request())) as [string]
    wakeUp.announce([QUEUE])
    return Number(await until(() => begun.get(id), POLL_MS * 2)) - before
  }
  return {
    /**
     * Ten in a row begin at once; one of them may come upon a busy machine, but none waits to be found by polling. The
     * first, for which the worker may not have been there yet, does not count.
     */
    async expectHaste() {
      await latency()
      const took: number[] = []
      for (let n = 0; n < 10; n += 1) took.push(await latency())
      took.sort((a, b) => a - b)
      expect(took[5]).toBeLessThan(POLL_MS / 20)
      expect(took[9]).toBeLessThan(POLL_MS * 0.8)
    },
    async stop() {
      await runner.stop(0)
      wakeUp.close()
    },
  }
}

test('without Redis a job begins at once, woken by PostgreSQL', async () => {
  const worker = startHardlyPolling(makeWakeUp(undefined, silent, queue.sql))
  await worker.expectHaste()
  await worker.stop()
})

test('with Redis a job begins at once; when Redis dies, PostgreSQL wakes the worker as fast', async () => {
  const redis = await startRedis({ port: await findFreePort() })
  const worker = startHardlyPolling(makeWakeUp(redis.url, silent, queue.sql))
  await worker.expectHaste()
  await redis.stop()
  await sleep(100)
  await worker.expectHaste()
  await worker.stop()
})

test('without either a job begins when the worker polls', async () => {
  const wakeUp = makeWakeUp(undefined, silent)
  let began = 0
  const runner = startRunner(
    queue,
    [
      task(async () => {
        began = performance.now()
        return undefined
      }),
    ],
    { wakeUp, pollMs: 200 },
  )
  await sleep(300)
  const before = performance.now()
  await enqueue(queue.sql, request())
  await until(() => began)
  expect(began - before).toBeLessThan(10_000)
  await runner.stop(0)
})
