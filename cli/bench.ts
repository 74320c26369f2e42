/** `npm run bench`: lists the benches. `npm run bench NAME…`: runs them in turn, with whatever follows a `--`. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'

const folder = new URL('../bench/', import.meta.url)
const benches = readdirSync(folder, { withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
  .map((entry) => entry.name.slice(0, -'.ts'.length))
  .sort()

const words = process.argv.slice(2)
const firstOption = words.findIndex((word) => word.startsWith('-'))
const wanted = firstOption < 0 ? words : words.slice(0, firstOption)
const options = words.slice(wanted.length)
let isInterrupted = false
const unknown = wanted.filter((name) => !benches.includes(name))
if (unknown.length > 0) {
  console.error(`no such bench: ${unknown.join(', ')}`)
  process.exitCode = 1
}
if (wanted.length === 0 || unknown.length > 0) {
  console.log(
    `npm run bench NAME… [-- OPTION…]\n\n${benches.map((name) => `  ${name.padEnd(12)} ${describe(name)}`).join('\n')}`,
  )
} else {
  for (const name of wanted) if (!isInterrupted) await run(name)
}

/** The first line of a bench's opening comment. */
function describe(name: string): string {
  const text = readFileSync(new URL(`${name}.ts`, folder), 'utf8')
  return /^\/\*\*\s*\*?\s*(.+)$/m.exec(text)?.[1]?.trim() ?? ''
}

async function run(name: string): Promise<void> {
  const file = new URL(`${name}.ts`, folder).pathname
  const bench = spawn(process.execPath, ['--import', 'tsx', file, ...options], { stdio: 'inherit' })
  // We stay until it has cleaned up, and start no other.
  const pass = (signal: NodeJS.Signals) => {
    isInterrupted = true
    bench.kill(signal)
  }
  process.on('SIGINT', pass).on('SIGTERM', pass)
  const [status] = await once(bench, 'exit')
  process.off('SIGINT', pass).off('SIGTERM', pass)
  if (status !== 0) process.exitCode = 1
}
