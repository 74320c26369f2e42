/** `npm test [-- PATH… OPTION…]`: the tests, after providing the one thing npm cannot: a redis-server. */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { hasRedisServer } from '#platform/local/redis.ts'
import { ensureGenerated } from './start/generated.ts'

if (!hasRedisServer() && !installRedisServer()) {
  const command = process.platform === 'darwin' ? 'brew install redis' : 'apt-get install redis-server'
  process.stderr.write(
    `the tests need redis-server, which is not on PATH: install it (${command}) and run them again\n`,
  )
  process.exit(1)
}

ensureGenerated((message) => process.stdout.write(`${message}\n`))
const jest = createRequire(import.meta.url).resolve('jest/bin/jest')
const run = spawn(
  process.execPath,
  ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', jest, ...process.argv.slice(2)],
  { stdio: 'inherit' },
)
// Ctrl-C reaches Jest by itself; we stay to tell how it ended.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => run.kill(signal))
run.once('exit', (code) => process.exit(code ?? 1))

/** As root on Debian and its kin the tests help themselves. */
function installRedisServer(): boolean {
  if (process.getuid?.() !== 0 || !existsSync('/etc/debian_version')) return false
  process.stdout.write('installing redis-server, which the tests need (apt-get)\n')
  aptGet('update')
  aptGet('install', '-y', '--no-install-recommends', 'redis-server')
  return hasRedisServer()
}

function aptGet(...words: string[]): void {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  spawnSync('apt-get', words, { stdio: ['ignore', 'ignore', 'inherit'], env })
}
