// One run as a process of its own, so that it is loaded like any other program and not through Jest. Takes its options as
// JSON, answers on stdout with the verdict as JSON, and leaves nothing behind when its input closes: the test is over.
import { type RunOptions, runFaults } from '../run.ts'

const options: Pick<RunOptions, 'seed' | 'jobs'> = JSON.parse(process.argv[2] ?? '{}')
const over = new AbortController()
process.stdin.resume()
process.stdin.once('close', () => over.abort(new Error('the test is over')))
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => over.abort(new Error(`ended by ${signal}`)))
}
const report = (line: string) => void process.stderr.write(`${line}\n`)
const result = await runFaults({ ...options, signal: over.signal, report })
process.stdout.write(JSON.stringify(result))
process.exit(0)
