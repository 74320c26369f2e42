import type pg from 'pg'
import type { ClaimedJob } from './job.ts'
import { inTransaction, type Sql } from './sql.ts'

/** A place in what is walked through, as a job's row keeps it. */
export type Place = readonly string[]

/** Who wants it, and what for. */
export type Order<Filter> = {
  filter: Filter
  userId: string | null
  /** Joins the audit entries with the request that asked for it. */
  correlationId: string | null
  notes: string | null
  /** A person of the platform: may more than a tenant's. */
  isStaff: boolean
}

/** What a step did: to which rows, to which not and why, and which queues have work now. */
export type Step = { ids: string[]; failures: { id: string; reason: string }[]; queueNames: string[] }

/** Where to look for rows: null for all that there are, from the beginning. */
export type From = { asOf: Date | null; after: Place | null; limit: number }

/** Something done to many rows that fit a filter: all at once if they are few, else step by step, by a job. */
export type Sweep<Filter, Row> = {
  count: (sql: Sql, filter: Filter, asOf: Date | null) => Promise<number>
  /** The next rows after a place, at most `limit`; none that came to fit the filter after `asOf`. */
  find: (sql: Sql, filter: Filter, from: From) => Promise<Row[]>
  placeOf: (row: Row) => Place
  apply: (tx: Sql, rows: readonly Row[], order: Order<Filter>) => Promise<Step>
}

/** What a sweep has done so far, as the result of its job says: counts are exact, of ids the first 1000 are listed. */
export type SweepResult = {
  matched: number
  done: number
  failed: number
  ids: string[]
  failures: { id: string; reason: string }[]
}

type State = SweepResult & { after: Place | null }

const STEP = 500
const MOST_LISTED = 1_000

// Whoever runs the job a second time, because a lease was lost, waits for the first one's step and goes on after it.
const LOCK_STATE = `SELECT result FROM jobs WHERE tenant_id = $1 AND id = $2 AND status = 'queued' FOR UPDATE`
const SAVE_STATE = `UPDATE jobs SET result = $3, updated_at = clock_timestamp() WHERE tenant_id = $1 AND id = $2`

export type SweepRun<Filter, Row> = {
  sweep: Sweep<Filter, Row>
  order: Order<Filter>
  /** The job that does it. */
  job: ClaimedJob
  pool: pg.Pool
  signal: AbortSignal
  onStep: (step: Step, state: SweepResult) => void
}

/**
 * Walks through all rows that fitted when the job was enqueued. Each step and the note of how far it got are one
 * transaction, so that a run that ends in the middle is taken up where it ended, and nothing is done or counted twice.
 * @throws the signal's reason when it is aborted between two steps
 */
export async function runSweep<Filter, Row>(run: SweepRun<Filter, Row>): Promise<SweepResult> {
  for (;;) {
    run.signal.throwIfAborted()
    const { state, step } = await inTransaction(run.pool, (tx) => takeStep(tx, run))
    const { after: _after, ...result } = state
    if (!step) return result
    run.onStep(step, result)
  }
}

async function takeStep<Filter, Row>(
  tx: Sql,
  { sweep, order, job }: SweepRun<Filter, Row>,
): Promise<{ state: State; step: Step | null }> {
  const asOf = new Date(job.queuedAtMs)
  const { rows: found } = await tx.query<{ result: State | null }>(LOCK_STATE, [job.tenantId, job.id])
  if (!found[0]) throw new Error('the job is no longer in its queue')
  const state = found[0].result ?? (await beginState(tx, sweep, order.filter, asOf))
  const rows = await sweep.find(tx, order.filter, { asOf, after: state.after, limit: STEP })
  const last = rows.at(-1)
  if (!last) return { state, step: null }
  const step = await sweep.apply(tx, rows, order)
  const next: State = {
    matched: state.matched,
    done: state.done + step.ids.length,
    failed: state.failed + step.failures.length,
    ids: [...state.ids, ...step.ids].slice(0, MOST_LISTED),
    failures: [...state.failures, ...step.failures].slice(0, MOST_LISTED),
    after: sweep.placeOf(last),
  }
  await tx.query(SAVE_STATE, [job.tenantId, job.id, JSON.stringify(next)])
  return { state: next, step }
}

async function beginState<Filter, Row>(tx: Sql, sweep: Sweep<Filter, Row>, filter: Filter, asOf: Date): Promise<State> {
  return { matched: await sweep.count(tx, filter, asOf), done: 0, failed: 0, ids: [], failures: [], after: null }
}
