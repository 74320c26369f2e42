import { type ChildProcess, spawn } from 'node:child_process'
import path from 'node:path'
import { afterEach, expect, test } from '@jest/globals'
import type { RunOptions, RunResult } from './run.ts'
import { describeFault } from './schedule.ts'
import { describeVerdict } from './verdict.ts'

const ROOT = path.resolve(import.meta.dirname, '../../..')
const SEED = Number(process.env.FAULTS_SEED ?? 3)
const JOBS = 3_000

let child: ChildProcess | undefined
// It sees its input close, puts everything away and ends, however far it has come.
afterEach(() => void child?.stdin?.end())

test('no fault of a worker, Redis or Postgres loses a job, completes one twice or leaves one behind', async () => {
  const { result, log } = await run({ seed: SEED, jobs: JOBS })
  // On a busy machine a fault may come too late for anything, or a short outage become a long one: such a run decides less
  // than it should, which `npm run bench faults` does not let pass, but it is nothing that the queue did wrong.
  if (!result.passed && result.violations.length === 0) process.stderr.write(`${describeVerdict(result)}\n`)
  if (result.violations.length > 0) {
    throw new Error(
      [
        `seed ${SEED}; again: npm run bench faults -- --seed ${SEED} --jobs ${JOBS}`,
        ...result.schedule.map(describeFault),
        log,
        describeVerdict(result),
      ].join('\n'),
    )
  }
  expect(new Set(result.schedule.map(({ kind }) => kind)).size).toBe(7)
  expect(result.counts['jobs promised']).toBe(JOBS)
}, 300_000)

/** One run in a process of its own; ends with us. */
async function run(options: Pick<RunOptions, 'seed' | 'jobs'>): Promise<{ result: RunResult; log: string }> {
  const program = path.join(import.meta.dirname, 'programs/faultRun.ts')
  const runner = spawn(process.execPath, ['--import', 'tsx', program, JSON.stringify(options)], {
    cwd: ROOT,
    // What Jest itself is run with is not for it.
    env: { ...process.env, NODE_OPTIONS: '' },
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  })
  child = runner
  let output = ''
  let log = ''
  runner.stdout.on('data', (chunk) => {
    output += chunk
  })
  runner.stderr.on('data', (chunk) => {
    log += chunk
  })
  const code = await new Promise((resolve) => runner.once('close', resolve))
  if (code !== 0) throw new Error(`seed ${options.seed}: the run ended with code ${code}\n${log}`)
  return { result: JSON.parse(output), log }
}
