import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals'
import { reapLeases } from '../../../subgraphs/queue/engine/lease.ts'
import { type ClaimDesk, idsOf, openClaimDesk } from './claimDesk.ts'
import { demo, enqueue, readJobs, request, rival, until } from './queueDatabase.ts'
import { startRunner, task } from './runner.ts'

/** Longer than anything here takes: it is over when a test says so. */
const LEASE_MS = 60_000

let desk: ClaimDesk
const workers: ChildProcess[] = []
beforeAll(async () => {
  desk = await openClaimDesk()
})
afterEach(async () => {
  for (const worker of workers.splice(0)) if (worker.exitCode === null) await kill(worker)
  await desk.clear()
})
afterAll(() => desk.close())

/** A worker process, and the jobs that have begun in it. */
function startWorker() {
  const program = path.join(import.meta.dirname, 'programs/slowWorker.ts')
  const { url, systemUrl } = desk.queue
  const child = spawn(process.execPath, ['--import', 'tsx', program, url, systemUrl, String(LEASE_MS)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: '' },
  })
  workers.push(child)
  let told = ''
  child.stdout.on('data', (chunk) => {
    told += chunk
  })
  return { child, begun: () => told.split('\n').filter(Boolean) }
}
async function kill(child: ChildProcess): Promise<void> {
  if (child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}

const takeMs = (ms: number[]) =>
  enqueue(desk.sql, ...ms.map((each, n) => request({ tenantId: n % 2 ? rival : demo, payload: { text: `${each}` } })))
/** How many waiting jobs the worker’s leases say have not begun. */
const marked = async () => {
  const { rows } = await desk.sql.query('SELECT coalesce(sum(cardinality(unbegun)), 0)::int AS jobs FROM worker_leases')
  return rows[0]?.jobs as number
}
const attempts = async (ids: string[]) => (await readJobs(desk.sql, ids)).map(({ attempt_count }) => attempt_count)
const reap = () =>
  until(async () => {
    await desk.sql.query(`UPDATE worker_leases SET expires_at = now() - interval '1 second'`)
    return (await reapLeases(desk.sql)).leases > 0
  })

test('kill -9: what had begun loses an attempt, what the worker kept at hand does not, and both run elsewhere', async () => {
  const ids = await takeMs([60_000, 60_000, 60_000, 60_000])
  const worker = startWorker()
  await until(() => worker.begun().length === 2)
  await until(async () => (await marked()) === 2)
  await kill(worker.child)
  await reap()
  const begun = worker.begun()
  const waited = ids.filter((id) => !begun.includes(id))
  expect(await attempts(begun)).toEqual([1, 1])
  expect(await attempts(waited)).toEqual([0, 0])
  const { rows: logs } = await desk.sql.query('SELECT job_id FROM job_logs')
  expect(logs.map(({ job_id }) => job_id).toSorted()).toEqual(begun.toSorted())
  expect(idsOf(await desk.claim(10)).toSorted()).toEqual(ids.toSorted())
}, 90_000)

test('a job that begins after it was marked loses its attempt when it takes the worker with it, every time', async () => {
  const ids = await takeMs([60_000, 60_000, 60_000, 60_000])
  const worker = startWorker()
  await until(async () => (await marked()) === 2)
  worker.child.kill('SIGUSR2')
  await until(() => worker.begun().length === 4)
  // It told before it began.
  expect(await marked()).toBe(0)
  await until(async () => (await readJobs(desk.sql, ids)).filter(({ status }) => status === 'completed').length === 2)
  await kill(worker.child)
  await reap()
  const last = worker.begun().slice(2)
  expect(await attempts(last)).toEqual([1, 1])
}, 90_000)

test('a poisonous job becomes a dead letter, the harmless ones kept beside it do not', async () => {
  const [poison] = (await enqueue(desk.sql, request({ maxAttempts: 1, payload: { text: '60000' } }))) as [string]
  const [beside] = (await enqueue(desk.sql, request({ maxAttempts: 1, payload: { text: '60000' } }))) as [string]
  const harmless = await enqueue(desk.sql, ...[1, 2].map(() => request({ maxAttempts: 1, payload: { text: '1' } })))
  const worker = startWorker()
  await until(() => worker.begun().length === 2)
  await until(async () => (await marked()) === 2)
  const [stopped] = harmless as [string]
  await desk.sql.query('UPDATE jobs SET cancel_requested_at = now() WHERE id = $1', [stopped])
  await kill(worker.child)
  await reap()
  expect((await readJobs(desk.sql, [poison, beside, ...harmless])).map(({ status }) => status)).toEqual([
    ...['failed', 'failed', 'cancelled', 'queued'],
  ])
}, 90_000)

test('where jobs are worked off quickly nothing is marked', async () => {
  let writes = 0
  const pool = new Proxy(desk.sql, {
    get(target, name) {
      if (name !== 'query') return Reflect.get(target, name).bind?.(target) ?? Reflect.get(target, name)
      return (statement: string | { text: string }, values?: unknown[]) => {
        if (typeof statement === 'string' && statement.includes('SET unbegun')) writes += 1
        return target.query(statement as string, values)
      }
    },
  })
  let ran = 0
  const counting = task(async () => {
    ran += 1
    return undefined
  })
  const runner = startRunner(desk.queue, [counting], { pool })
  for (let n = 0; n < 5; n += 1) await desk.fill({ tenantId: demo, jobs: 3_000 })
  await until(() => ran === 15_000, 60_000)
  await runner.stop(1_000)
  expect(writes).toBeLessThanOrEqual(4)
}, 90_000)
