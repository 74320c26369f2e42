import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import pg from 'pg'
import { appendOutbox } from '#platform/outbox/append.ts'
import { outboxFrontier } from '#platform/outbox/frontier.ts'
import { demo, openQueueDatabase, type QueueDatabase, until } from './queueDatabase.ts'

const EVENT = {
  tenantId: demo,
  aggregateType: 'Campaign',
  aggregateId: '1',
  eventType: 'thing.happened',
  payload: {},
}

let queue: QueueDatabase
beforeAll(async () => {
  queue = await openQueueDatabase()
})
afterAll(() => queue.close())

const oldest = async () => {
  const { rows } = await queue.sql.query<{ at: Date }>('SELECT min(created_at) AS at FROM outbox_events')
  return rows[0]?.at
}

describe('the frontier', () => {
  test('follows the clock while the outbox is empty', async () => {
    await until(async () => {
      const frontier = await outboxFrontier(queue.sql)
      return frontier && Date.now() - frontier.getTime() < 5_000
    })
  })

  test('is held back by events that still wait, parked ones too', async () => {
    const [id] = await appendOutbox(queue.sql, [EVENT])
    await queue.sql.query(
      `UPDATE outbox_events SET created_at = now() - interval '1 hour', parked_at = now() WHERE id = $1`,
      [id],
    )
    const frontier = await until(() => outboxFrontier(queue.sql))
    expect(frontier).toEqual(await oldest())
    await queue.sql.query('DELETE FROM outbox_events')
  })

  test('does not pass an event whose transaction has not committed yet', async () => {
    const pool = new pg.Pool({ connectionString: queue.systemUrl, options: '-c TimeZone=UTC' })
    const slow = await pool.connect()
    try {
      await slow.query('BEGIN')
      await appendOutbox(slow, [EVENT])
      const { rows } = await slow.query<{ created_at: Date }>('SELECT created_at FROM outbox_events')
      const acceptedAt = rows[0]?.created_at as Date
      for (let i = 0; i < 20; i += 1) {
        await new Promise((resolve) => setTimeout(resolve, 25))
        const frontier = await outboxFrontier(pool)
        if (frontier) expect(frontier.getTime()).toBeLessThanOrEqual(acceptedAt.getTime())
      }
      await slow.query('COMMIT')
      // Not at once: any other transaction of the server, also in another database, may hold it back for a while.
      const reached = await until(async () => {
        const frontier = await outboxFrontier(pool)
        return frontier && frontier >= acceptedAt && frontier
      })
      expect(reached).toEqual(acceptedAt)
      await queue.sql.query('DELETE FROM outbox_events')
      await until(async () => ((await outboxFrontier(pool))?.getTime() ?? 0) > acceptedAt.getTime())
    } finally {
      slow.release(true)
      await pool.end()
    }
  })
})
