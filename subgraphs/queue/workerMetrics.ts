import { Counter, Gauge } from 'prom-client'
import type { Metrics } from '#platform/metrics.ts'
import type { Settled, SettledAs } from './engine/settler.ts'
import { JobTimes, type JobType, type TimeSeries } from './jobTimes.ts'

/** What is known of one job type's outcomes; `outcomes` since they were last asked for. */
type Tally = JobType & { outcomes: Map<SettledAs, number>; runTime: TimeSeries; waitTime: TimeSeries }

/** Shows what a worker does; answers what to call for each settled job. */
export function addWorkerMetrics({ registry }: Metrics, held: () => number) {
  const tallies = new Map<string, Tally>()
  new Counter({
    name: 'jobs_settled_total',
    help: 'Attempts by outcome: completed, retried, dead, postponed, cancelled or lost',
    labelNames: ['queue', 'type', 'outcome'],
    registers: [registry],
    collect() {
      for (const { queueName: queue, jobType: type, outcomes } of tallies.values()) {
        for (const [outcome, count] of outcomes) this.inc({ queue, type, outcome }, count)
        outcomes.clear()
      }
    },
  })
  const runTimes = new JobTimes(registry, {
    name: 'job_run_seconds',
    help: 'Time from the start of an attempt (or its batch) to its outcome',
    buckets: [0.005, 0.025, 0.1, 0.5, 1, 5, 30, 120, 600],
  })
  const waitTimes = new JobTimes(registry, {
    name: 'job_wait_seconds',
    help: 'Time from the moment at which a job could run to its claim',
    buckets: [0.005, 0.025, 0.1, 0.5, 1, 5, 30, 120, 600, 3600],
  })
  new Gauge({
    name: 'jobs_held',
    help: 'Jobs claimed and not settled yet',
    registers: [registry],
    collect() {
      this.set(held())
    },
  })
  const tallyOf = ({ queueName, jobType }: JobType): Tally => {
    const key = `${queueName} ${jobType}`
    const known = tallies.get(key)
    if (known) return known
    const type = { queueName, jobType }
    const tally = {
      ...type,
      outcomes: new Map(),
      runTime: runTimes.addSeries(type),
      waitTime: waitTimes.addSeries(type),
    }
    tallies.set(key, tally)
    return tally
  }
  return (job: JobType, { settlement, as }: Settled) => {
    const { outcomes, runTime, waitTime } = tallyOf(job)
    outcomes.set(as, (outcomes.get(as) ?? 0) + 1)
    if (settlement.kind === 'postponed') return
    runTime.observe(settlement.job.durationMs / 1000)
    waitTime.observe(settlement.job.waitMs / 1000)
  }
}
