import { setTimeout as sleep } from 'node:timers/promises'
import { BATCH, type Contender, type Payload, payloadOf } from './contender.ts'
import { openPeerPool } from './peerPool.ts'
import type { Servers } from './servers.ts'

const CREATE = `
  CREATE TABLE jobs (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payload jsonb NOT NULL, taken_at timestamptz);
  CREATE INDEX jobs_free ON jobs (id) WHERE taken_at IS NULL`

const CLAIM = `
  UPDATE jobs SET taken_at = now() WHERE id = ANY (ARRAY(
    SELECT id FROM jobs WHERE taken_at IS NULL ORDER BY id LIMIT ${BATCH} FOR UPDATE SKIP LOCKED))
  RETURNING id, payload`

/** One claims while the other completes; more of them make it no faster. */
const LOOPS = 2
const POLL_MS = 100

/** The least a queue in PostgreSQL can be: no retries, no leases, no tenants. What anything on top of it costs shows. */
export async function openSkipLocked(servers: Servers): Promise<Contender> {
  const { pool, isTrue, count } = openPeerPool(await servers.createPeerDatabase('bench_skip_locked'))
  await pool.query(CREATE)
  const insert = (name: string, text: string, values: unknown[]) => pool.query({ name, text, values })
  return {
    name: 'SKIP LOCKED',
    enqueue: (job) => insert('one', 'INSERT INTO jobs (payload) VALUES ($1)', [payloadOf(job)]),
    enqueueMany: (jobs) =>
      insert('many', 'INSERT INTO jobs (payload) SELECT * FROM jsonb_array_elements($1)', [
        JSON.stringify(jobs.map(payloadOf)),
      ]),
    async work(onRun) {
      let isStopping = false
      const loop = async () => {
        while (!isStopping) {
          const { rows } = await pool.query<{ id: string; payload: Payload }>({ name: 'claim', text: CLAIM })
          for (const { payload } of rows) onRun(payload.step)
          const ids = rows.map(({ id }) => id)
          if (ids.length === 0) await sleep(POLL_MS)
          else await pool.query({ name: 'done', text: 'DELETE FROM jobs WHERE id = ANY($1::bigint[])', values: [ids] })
        }
      }
      const loops = Promise.all(Array.from({ length: LOOPS }, loop))
      return () => {
        isStopping = true
        return loops
      }
    },
    isDone: () => isTrue('NOT EXISTS (SELECT FROM jobs)'),
    countUnfinished: () => count('jobs'),
    clear: () => pool.query('TRUNCATE jobs'),
    analyze: () => pool.query('ANALYZE jobs'),
    close: () => pool.end(),
  }
}
