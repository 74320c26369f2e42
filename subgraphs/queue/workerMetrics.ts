import { Counter, Gauge, Histogram } from 'prom-client'
import type { Metrics } from '#platform/metrics.ts'
import type { Settled } from './engine/settler.ts'

/** Shows what a worker does; answers what to call for each settled job. */
export function addWorkerMetrics({ registry }: Metrics, held: () => number) {
  const settledJobs = new Counter({
    name: 'jobs_settled_total',
    help: 'Attempts by outcome: completed, retried, dead, postponed or lost',
    labelNames: ['queue', 'type', 'outcome'],
    registers: [registry],
  })
  const runTime = new Histogram({
    name: 'job_run_seconds',
    help: 'Time from the start of an attempt (or its batch) to its outcome',
    labelNames: ['queue', 'type'],
    buckets: [0.005, 0.025, 0.1, 0.5, 1, 5, 30, 120, 600],
    registers: [registry],
  })
  new Gauge({
    name: 'jobs_held',
    help: 'Jobs claimed and not settled yet',
    registers: [registry],
    collect() {
      this.set(held())
    },
  })
  return ({ queueName, jobType }: { queueName: string; jobType: string }, { settlement, as }: Settled) => {
    settledJobs.inc({ queue: queueName, type: jobType, outcome: as })
    if (settlement.kind === 'postponed') return
    runTime.observe({ queue: queueName, type: jobType }, settlement.job.durationMs / 1000)
  }
}
