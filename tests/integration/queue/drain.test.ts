import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals'
import { type ClaimDesk, jobsOf, openClaimDesk } from './claimDesk.ts'
import { enqueue, readJobs, request, until } from './queueDatabase.ts'

let desk: ClaimDesk
beforeAll(async () => {
  desk = await openClaimDesk()
})
afterEach(() => desk.clear())
afterAll(() => desk.close())

/** Long enough for what is to happen meanwhile, on a machine that has other things to do. */
const DRAIN_MS = 5_000

/** A worker process, what it has told so far, and how it ends. */
function startWorker() {
  const program = path.join(import.meta.dirname, 'programs/drainingWorker.ts')
  const { url, systemUrl } = desk.queue
  const child = spawn(process.execPath, ['--import', 'tsx', program, url, systemUrl, String(DRAIN_MS)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: '' },
  })
  let told = ''
  child.stdout.on('data', (chunk) => {
    told += chunk
  })
  const lines = () => told.split('\n').filter(Boolean)
  return { child, ended: once(child, 'close'), lines, begun: () => lines().filter((line) => line.startsWith('began')) }
}

const takeMs = (...texts: (number | 'told')[]) =>
  enqueue(desk.sql, ...texts.map((text) => request({ payload: { text: `${text}` } })))

test('SIGTERM: what can end in time ends, nothing begins, the rest is another worker’s at once, uncounted', async () => {
  const short = await takeMs('told', 'told', 'told')
  const long = await takeMs(60_000)
  const behind = await takeMs(...Array<number>(3).fill(50))
  const worker = startWorker()
  try {
    await until(() => worker.begun().length === 4)
    await until(async () => (await readJobs(desk.sql, behind)).every(({ status }) => status === 'processing'))
    worker.child.kill('SIGTERM')

    // At once: while all that began goes on.
    const given = await until(async () => jobsOf(await desk.claim(10)).length > 0 && (await readJobs(desk.sql, behind)))
    worker.child.kill('SIGUSR2')
    expect(given).toMatchObject(behind.map((id) => ({ id, status: 'processing', attempt_count: 1 })))

    expect(await worker.ended).toEqual([0, null])
    expect(worker.lines().slice(worker.lines().indexOf('told to stop')).join()).not.toContain('began')
    expect(
      worker
        .begun()
        .map((line) => line.slice(6))
        .toSorted(),
    ).toEqual([...short, ...long].toSorted())
    expect(await readJobs(desk.sql, short)).toMatchObject(Array(3).fill({ status: 'completed', attempt_count: 1 }))
    expect(await readJobs(desk.sql, long)).toMatchObject([{ status: 'queued', attempt_count: 0 }])
    const [again] = jobsOf(await desk.claim(1))
    expect(again).toMatchObject({ id: long[0], attempt: 1 })
  } finally {
    worker.child.kill('SIGKILL')
  }
})

test('a rolling restart under load: each of 400 jobs is done once, at its first attempt', async () => {
  // So few at once that neither worker takes all of them.
  await desk.limit({ max_concurrent_jobs: 40 })
  const workers = [startWorker(), startWorker()] as const
  const [first, second] = workers
  const pids = workers.map(({ child }) => child.pid)
  const registered = () => desk.sql.query('SELECT 1 FROM workers WHERE pid = ANY($1)', [pids])
  try {
    await until(async () => (await registered()).rowCount === 2)
    // And so long that one that stands still for a moment finds some left.
    const ids = await takeMs(...Array.from({ length: 400 }, (_, index) => 20 + (index % 60)))
    await until(() => first.begun().length > 20 && second.begun().length > 0)
    first.child.kill('SIGTERM')
    expect(await first.ended).toEqual([0, null])
    await until(async () => (await readJobs(desk.sql, ids)).every(({ status }) => status === 'completed'))
    second.child.kill('SIGTERM')
    await second.ended
    const begun = [...first.begun(), ...second.begun()]
    expect(begun).toHaveLength(400)
    expect(new Set(begun).size).toBe(400)
    const { rows } = await desk.sql.query('SELECT DISTINCT attempt_count FROM jobs')
    expect(rows).toEqual([{ attempt_count: 1 }])
  } finally {
    for (const { child } of workers) child.kill('SIGKILL')
  }
})
