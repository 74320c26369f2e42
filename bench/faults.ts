/**
 * Whether the queue keeps its promises while workers, Redis and PostgreSQL are killed, stopped and restarted.
 *
 * After `--`: `--seed N` and `--jobs N` (100,000 unless given) repeat a run; `--only KIND,…` leaves out other faults.
 * Exits with 1 when a promise was broken, or a fault met with nothing.
 */
import { parseArgs } from 'node:util'
import { planRun, runFaults } from '../tests/faults/queue/run.ts'
import { describeFault, FAULT_KINDS, type FaultKind } from '../tests/faults/queue/schedule.ts'
import { describeVerdict } from '../tests/faults/queue/verdict.ts'
import { machineLine } from './support/machine.ts'

const { values } = parseArgs({
  options: { seed: { type: 'string' }, jobs: { type: 'string', default: '100000' }, only: { type: 'string' } },
})
const seed = Number(values.seed ?? Math.floor(Math.random() * 1_000_000))
const jobs = Number(values.jobs)
const only = values.only?.split(',') as FaultKind[] | undefined
const unknown = only?.filter((kind) => !FAULT_KINDS.includes(kind)) ?? []
if (!Number.isSafeInteger(seed) || !Number.isSafeInteger(jobs) || jobs < 1 || unknown.length > 0) {
  console.error(`--seed and --jobs take whole numbers, --only of ${FAULT_KINDS.join(', ')}`)
  process.exit(1)
}

const interrupted = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => interrupted.abort(new Error(`ended by ${signal}`)))
}

const { schedule, overMs, leaseMs, workers } = planRun({ seed, jobs, only })
console.log(
  `${machineLine()}\n${jobs} jobs over ${(overMs / 1_000).toFixed(0)} s, ${workers} workers, lease ${leaseMs} ms`,
)
console.log(`seed ${seed}\n\n${schedule.map(describeFault).join('\n')}\n`)
const beganAt = performance.now()
try {
  const verdict = await runFaults({ seed, jobs, only, signal: interrupted.signal, report: console.log })
  console.log(`\n${describeVerdict(verdict)}\n\nin ${((performance.now() - beganAt) / 1_000).toFixed(0)} s`)
  if (!verdict.passed) {
    const repeat = `--seed ${seed} --jobs ${jobs}${only ? ` --only ${only}` : ''}`
    console.log(`the same faults again: npm run bench faults -- ${repeat}`)
    process.exitCode = 1
  }
} catch (error) {
  console.error(error)
  process.exitCode = 1
}
