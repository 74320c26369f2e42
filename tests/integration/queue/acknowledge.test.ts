import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals'
import { completeJobs, failJobs, postponeJobs } from '../../../subgraphs/queue/engine/acknowledge.ts'
import { claimJobs } from '../../../subgraphs/queue/engine/claim.ts'
import { enqueue, makeWorker, openQueueDatabase, type QueueDatabase, request } from './queueDatabase.ts'

let queue: QueueDatabase
beforeAll(async () => {
  queue = await openQueueDatabase()
})
afterAll(() => queue.close())
afterEach(() => queue.sql.query('DELETE FROM jobs; DELETE FROM worker_leases'))

const unsettled = async () => (await queue.sql.query('SELECT unsettled FROM worker_leases')).rows

test('an acknowledgement that is sent twice, because its answer was lost, counts once', async () => {
  await enqueue(queue.sql, ...Array.from({ length: 6 }, () => request()))
  const workerId = await makeWorker(queue.sql)
  const claim = await claimJobs(queue.sql, { workerId, queueName: 'notification-delivery', limit: 6, leaseMs: 10_000 })
  const [first, second, third] = (claim?.jobs ?? []).map((job) => ({ ...job, durationMs: 1 }))
  if (!first || !second || !third) throw new Error('too few were claimed')
  const failure = { message: 'no luck', details: {}, fingerprint: 'f', permanent: false }
  for (let sent = 0; sent < 2; sent++) {
    await completeJobs(queue.sql, [first])
    expect(await unsettled()).toEqual([{ unsettled: 5 }])
  }
  for (let sent = 0; sent < 2; sent++) {
    await failJobs(queue.sql, [{ ...second, ...failure }])
    expect(await unsettled()).toEqual([{ unsettled: 4 }])
  }
  for (let sent = 0; sent < 2; sent++) {
    await postponeJobs(queue.sql, [{ ...third, delayMs: 1_000 }])
    expect(await unsettled()).toEqual([{ unsettled: 3 }])
  }
})
