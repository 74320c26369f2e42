import type pg from 'pg'
import { v7 as uuidv7 } from 'uuid'
import { columnParser } from '#platform/database/columnParsers.ts'
import type { ClaimedJob } from './job.ts'
import type { Sql } from './sql.ts'

export type Claim = { leaseId: string; jobs: ClaimedJob[] }

export type ClaimOptions = {
  /** A registered worker. */
  workerId: string
  queueName: string
  /** At most so many jobs; the queue's own limits may allow fewer. */
  limit: number
  /** How long the lease holds unless it is renewed. */
  leaseMs: number
  /** Tenants are served in a circle: begin after this one. */
  afterTenant?: string
  /** Begin with low and with normal priorities. One claim in ten should, so that none of them starves. */
  fromBelow?: boolean
  /**
   * Look only where no lease reaches, at a cost that does not grow with what others hold. What came back to a place that
   * has been passed is found within a quarter of a second, or as soon as there is nothing else.
   */
  onward?: boolean
}

export const FIRST_TENANT = '00000000-0000-0000-0000-000000000000'

// Both halves are one look into an index, as long as the clock is asked once and not for each row. A job in work still
// counts: that costs its worker a claim that finds nothing.
const FIND_WORK = `
  SELECT q.name FROM job_queues q
  WHERE q.name = ANY($1) AND q.is_active AND (
    EXISTS (SELECT 1 FROM jobs j WHERE j.queue_name = q.name AND j.status = 'queued' AND j.is_due)
    OR EXISTS (SELECT 1 FROM jobs j WHERE j.queue_name = q.name AND j.status = 'queued' AND NOT j.is_due
      AND j.run_at <= (SELECT clock_timestamp() + interval '1 millisecond')))`

/** What the log's column holds. */
const LONGEST_WAIT_MS = 2_147_483_647

// A claim need not reach the disk before its jobs begin, which spares an idle worker the wait: a crash of PostgreSQL that
// forgets it makes it a lost lease, whose acknowledgements change nothing. An acknowledgement waits for the disk, and what
// was written before it is there by then too.
const CLAIM_JOBS = `
  SELECT c.* FROM set_config('synchronous_commit', 'off', true) AS quick, claim_jobs($1, $2, $3, $4, $5, $6, $7, $8) AS c`

/** The columns of claim_jobs, in its order. */
type Row = [
  tenantId: string,
  id: string,
  seq: number,
  jobType: string,
  payload: unknown,
  attempt: number,
  maxAttempts: number,
  queuedAtMs: number,
  waitMs: number,
  correlationId: string | null,
  userId: string | null,
  subjectTypename: string | null,
  subjectId: string | null,
  timeoutMs: number,
]

/** Which of these queues may have a job that could run now. One cheap statement: it is what an idle worker asks. */
export async function findQueuesWithWork(sql: Sql, queueNames: readonly string[]): Promise<string[]> {
  if (queueNames.length === 0) return []
  const { rows } = await sql.query<{ name: string }>(FIND_WORK, [queueNames])
  return rows.map(({ name }) => name)
}

/**
 * Takes the queue's next due jobs under one new lease: what `claim_jobs` of the database says about order, fairness and
 * limits. Two claimers never get the same job. Null when there is nothing to do, the queue is paused or at a limit.
 */
export async function claimJobs(pool: pg.Pool, options: ClaimOptions): Promise<Claim | null> {
  const { workerId, queueName, limit, leaseMs, afterTenant = FIRST_TENANT, fromBelow = false, onward = false } = options
  const leaseId = uuidv7()
  const lengths: number[] = []
  const { rows } = await pool.query<Row>({
    name: 'claim_jobs',
    text: CLAIM_JOBS,
    values: [queueName, workerId, leaseId, limit, leaseMs, afterTenant, fromBelow, onward ? 1 : 0],
    rowMode: 'array',
    types: measuring(lengths),
  })
  if (rows.length === 0) return null
  return {
    leaseId,
    jobs: rows.map((row, index) =>
      readRow(row, { queueName, leaseId, position: index + 1, payloadLength: lengths[index] ?? 0 }),
    ),
  }
}

const JSONB = 3802

/** Parses payloads, the only jsonb there is in the answer, and tells how long each was on the way. */
function measuring(lengths: number[]): pg.CustomTypesConfig {
  const parse = (text: string) => {
    lengths.push(text.length)
    return JSON.parse(text)
  }
  return { getTypeParser: (oid, format) => (Number(oid) === JSONB ? parse : columnParser(Number(oid), format)) }
}

type Place = Pick<ClaimedJob, 'queueName' | 'leaseId' | 'position' | 'payloadLength'>

function readRow(row: Row, place: Place): ClaimedJob {
  return {
    id: row[1],
    tenantId: row[0],
    queueName: place.queueName,
    jobType: row[3],
    payload: row[4],
    attempt: row[5],
    maxAttempts: row[6],
    queuedAtMs: row[7],
    waitMs: Math.min(Math.round(row[8]), LONGEST_WAIT_MS),
    correlationId: row[9],
    userId: row[10],
    subjectTypename: row[11],
    subjectId: row[12],
    timeoutMs: row[13],
    leaseId: place.leaseId,
    position: place.position,
    payloadLength: place.payloadLength,
  }
}
