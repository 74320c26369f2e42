import { expect, test } from '@jest/globals'
import { makeMetrics } from '#platform/metrics.ts'
import type { Settled } from '../../../subgraphs/queue/engine/settler.ts'
import { addWorkerMetrics } from '../../../subgraphs/queue/workerMetrics.ts'

const job = { queueName: 'billing-sync', jobType: 'echo' }
const settled = (as: Settled['as'], durationMs: number, waitMs: number) =>
  ({ settlement: { kind: 'completed', job: { durationMs, waitMs } }, as }) as unknown as Settled

test('a worker’s page counts outcomes and times by job type, as Prometheus reads them', async () => {
  const metrics = makeMetrics('worker')
  const onSettled = addWorkerMetrics(metrics, () => 7)
  onSettled(job, settled('completed', 5, 0))
  onSettled(job, settled('completed', 5_000, 600_001))
  onSettled(job, settled('lost', 700_000, 1))
  onSettled({ ...job, jobType: 'other' }, settled('completed', 1, 1))
  const postponed = { settlement: { kind: 'postponed', job: { delayMs: 1 } }, as: 'postponed' } as unknown as Settled
  onSettled(job, postponed)
  // A second look adds nothing.
  await metrics.registry.metrics()
  const page = await metrics.registry.metrics()
  const value = (line: string) => {
    const start = line.replace('}', ',service="worker"}')
    return Number(
      page
        .split('\n')
        .find((one) => one.startsWith(`${start} `))
        ?.slice(start.length),
    )
  }
  const labels = 'queue="billing-sync",type="echo"'
  expect(value(`jobs_settled_total{${labels},outcome="completed"}`)).toBe(2)
  expect(value(`jobs_settled_total{${labels},outcome="lost"}`)).toBe(1)
  expect(value(`jobs_settled_total{${labels},outcome="postponed"}`)).toBe(1)
  const run = ['0.005', '0.025', '1', '5', '600', '+Inf'].map((le) =>
    value(`job_run_seconds_bucket{le="${le}",${labels}}`),
  )
  expect(run).toEqual([1, 1, 1, 2, 2, 3])
  expect(value(`job_run_seconds_sum{${labels}}`)).toBeCloseTo(705.005, 9)
  expect(value(`job_run_seconds_count{${labels}}`)).toBe(3)
  expect(value(`job_wait_seconds_bucket{le="600",${labels}}`)).toBe(2)
  expect(value(`job_wait_seconds_bucket{le="3600",${labels}}`)).toBe(3)
  expect(value('job_wait_seconds_count{queue="billing-sync",type="other"}')).toBe(1)
  expect(page).toContain('# TYPE job_run_seconds histogram')
  expect(page).toContain('jobs_held{service="worker"} 7')
})
