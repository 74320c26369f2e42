/**
 * How fast mails are rendered and composed, and how fast what their links lead to answers under load.
 *
 * `render`: one process, one core, a typical mail with four links, another lead each time. `endpoints`: gateway and queue
 * tier as processes of their own over an embedded PostgreSQL that flushes its commits; requests begin when they are due,
 * whether or not earlier ones were answered, and are timed from then. Afterwards every hit must be in the queue, once.
 * After `--`: `--parts render,endpoints`, `--rate 500` requests a second, `--seconds 5`.
 */
import { parseArgs } from 'node:util'
import { machineLine } from './support/machine.ts'
import { measureEndpoints } from './tracking/endpoints.ts'
import { measureRendering } from './tracking/rendering.ts'

const { values } = parseArgs({
  options: {
    parts: { type: 'string', default: 'render,endpoints' },
    rate: { type: 'string', default: '500' },
    seconds: { type: 'string', default: '5' },
  },
})
const [rate, seconds] = [Number(values.rate), Number(values.seconds)]
if (!(rate > 0 && rate <= 20_000) || !(seconds > 0)) {
  console.error('--rate takes 1 to 20000 requests a second, --seconds a number')
  process.exit(1)
}
const interrupted = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => interrupted.abort(new Error(`stopped by ${signal}`)))
}

console.log(machineLine())
try {
  const parts = values.parts.split(',')
  if (parts.includes('render')) await measureRendering()
  if (parts.includes('endpoints')) await measureEndpoints({ rate, seconds, signal: interrupted.signal })
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
