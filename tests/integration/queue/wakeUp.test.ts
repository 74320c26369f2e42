import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { Redis } from 'ioredis'
import { pino } from 'pino'
import { startRedis } from '#platform/local/redis.ts'
import { makeWakeUp, wakeChannel } from '../../../subgraphs/queue/engine/wakeUp.ts'
import { findFreePort } from '../../support/freePort.ts'
import { enqueue, openQueueDatabase, type QueueDatabase, readJobs, request, until } from './queueDatabase.ts'
import { startRunner, task } from './runner.ts'

let queue: QueueDatabase
beforeAll(async () => {
  queue = await openQueueDatabase()
})
afterAll(() => queue.close())

/** A log that keeps its lines. */
function listeningLog() {
  const lines: string[] = []
  return { lines, log: pino({ level: 'info' }, { write: (line: string) => void lines.push(line) }) }
}

const done = (id: string) => until(async () => (await readJobs(queue.sql, [id]))[0]?.status === 'completed')

describe('wake-ups', () => {
  test('over Redis a worker that polls once in ten minutes begins at once', async () => {
    const port = await findFreePort()
    const redis = await startRedis({ port })
    const wakeUp = makeWakeUp(redis.url, listeningLog().log)
    const heard: number[] = []
    const stopListening = wakeUp.listen(['notification-delivery'], () => heard.push(Date.now()))
    const runner = startRunner(queue, [task(async () => undefined)], { wakeUp, pollMs: 600_000 })
    const observer = new Redis(redis.url)
    try {
      // Its worker and we: else the worker may not listen yet.
      const channel = wakeChannel('notification-delivery')
      await until(async () => (await observer.pubsub('NUMSUB', channel))[1] === 2)
      await until(() => {
        wakeUp.announce(['notification-delivery'])
        return heard.length > 0
      })
      const [id] = (await enqueue(queue.sql, request())) as [string]
      wakeUp.announce(['notification-delivery'])
      await done(id)
    } finally {
      observer.disconnect()
      stopListening()
      await runner.stop(0)
      wakeUp.close()
      await redis.stop()
    }
  })

  test('Redis that dies in between costs no job and one line in the log; when it is back, so are the wake-ups', async () => {
    const port = await findFreePort()
    let redis = await startRedis({ port })
    const { lines, log } = listeningLog()
    const wakeUp = makeWakeUp(redis.url, log)
    let heard = 0
    const stopListening = wakeUp.listen(['notification-delivery'], () => {
      heard += 1
    })
    const runner = startRunner(queue, [task(async () => undefined)], { wakeUp, pollMs: 100 })
    const hear = () =>
      until(() => {
        wakeUp.announce(['notification-delivery'])
        return heard > 0
      })
    try {
      await hear()
      await redis.stop()
      for (let i = 0; i < 3; i += 1) {
        const [id] = (await enqueue(queue.sql, request())) as [string]
        wakeUp.announce(['notification-delivery'])
        await done(id)
      }
      await new Promise((resolve) => setTimeout(resolve, 1_500))
      // One connection speaks, one listens (for the runner) and one more listens here.
      expect(lines.filter((line) => line.includes('Redis is away')).length).toBeLessThanOrEqual(3)
      redis = await startRedis({ port })
      heard = 0
      await hear()
    } finally {
      stopListening()
      await runner.stop(0)
      wakeUp.close()
      await redis.stop()
    }
  })

  test('a Redis that is not there from the start hinders nothing', async () => {
    const { lines, log } = listeningLog()
    const wakeUp = makeWakeUp(`redis://127.0.0.1:${await findFreePort()}`, log)
    const runner = startRunner(queue, [task(async () => undefined)], { wakeUp, pollMs: 100 })
    const [id] = (await enqueue(queue.sql, request())) as [string]
    wakeUp.announce(['notification-delivery'])
    await done(id)
    await runner.stop(0)
    wakeUp.close()
    expect(lines.filter((line) => line.includes('Redis is away')).length).toBeLessThanOrEqual(2)
  })
})
