import { alternate, time } from './alternate.ts'
import { enqueueAll } from './contender.ts'
import { JobCount } from './jobCount.ts'
import { type Ours, QUEUE } from './ours.ts'

const FREE = '0199c0de-0000-7000-8000-0000000000f1'
const LIMITED = '0199c0de-0000-7000-8000-0000000000f2'

/** So many a minute that nobody comes near it. */
const ROOMY = 1_000_000_000
/** What a tenant owes that may not start a job for hours. */
const DEBT = -1e12

/** A tenant's throughput in a queue without limits, with one per tenant, and next to another tenant that has reached it. */
export async function measureRateLimit(ours: Ours, { rounds, jobs }: { rounds: number; jobs: number }) {
  const entrants = [
    { name: 'no limit', limit: null, waiting: 0 },
    { name: 'a limit nobody reaches', limit: ROOMY, waiting: 0 },
    { name: 'another tenant has reached it', limit: ROOMY, waiting: jobs },
  ]
  return alternate(entrants, rounds, async ({ name, limit, waiting }) => {
    await ours.clear()
    await ours.sql.query('UPDATE job_queues SET rate_limit_per_tenant = $2 WHERE name = $1', [QUEUE, limit])
    if (waiting > 0) await exhaust(ours, LIMITED)
    // With numbers beyond those that are counted, and before the others.
    await enqueueAll((batch) => ours.enqueueFor(LIMITED, batch), jobs, waiting)
    await enqueueAll((batch) => ours.enqueueFor(FREE, batch), 0, jobs)
    await ours.analyze()
    const count = new JobCount(jobs)
    let stop: () => Promise<unknown> = async () => {}
    try {
      return await time(jobs, async () => {
        stop = await ours.work(count.run)
        await count.untilAllRan(name)
      })
    } finally {
      await stop()
    }
  })
}

/** Leaves a tenant's bucket as if it had started far too many jobs. */
async function exhaust(ours: Ours, tenantId: string): Promise<void> {
  await ours.sql.query(
    `INSERT INTO rate_buckets (queue_name, scope, holder, tokens, refilled_at)
     VALUES ($1, 'tenant', $2, $3, clock_timestamp())`,
    [QUEUE, tenantId, DEBT],
  )
}
