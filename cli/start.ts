/** `npm start`: the whole platform on this machine, in one terminal, until Ctrl-C. `--watch` restarts what is edited. */
import { ConfigError } from '#platform/config.ts'
import { StartProblem } from '#platform/local/startProblem.ts'
import { startPlatform } from './start/platform.ts'
import { makeTerminal } from './start/terminal.ts'

const terminal = makeTerminal()
const watch = process.argv.includes('--watch')
const unknown = process.argv.slice(2).filter((word) => word !== '--watch')
if (unknown.length > 0) {
  process.stderr.write(
    `npm start takes no ${unknown.join(' ')}; its settings are environment variables (.env.example)\n`,
  )
  process.exit(2)
}
const platform = startPlatform({ env: process.env, watch, terminal, onLost: (error) => void fail(error) })

let asked = 0
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void end(signal))
process.on('uncaughtException', (error) => void fail(error))
process.on('unhandledRejection', (error) => void fail(error))
if (process.env.npm_lifecycle_event) endWithNpm()

try {
  await platform.ready
} catch (error) {
  await fail(error)
}

async function end(reason: string): Promise<void> {
  asked += 1
  if (asked > 1) return
  terminal.print(`\nstopping (${reason})`)
  await platform.stop()
  terminal.print('stopped')
  process.exit(0)
}

async function fail(error: unknown): Promise<void> {
  asked += 1
  if (asked > 1) return
  const forUser = error instanceof StartProblem || error instanceof ConfigError
  process.stderr.write(`\n${forUser ? error.message : error instanceof Error ? error.stack : String(error)}\n`)
  await platform.stop()
  process.exit(1)
}

/** When npm is killed it tells nobody; then nobody could stop us either. */
function endWithNpm(): void {
  const npm = process.ppid
  setInterval(() => process.ppid !== npm && void end('npm is gone'), 1_000).unref()
}
