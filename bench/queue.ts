/**
 * Our job queue against graphile-worker, pg-boss, BullMQ and a bare SKIP LOCKED table, by the same jobs.
 *
 * All on one PostgreSQL that flushes its commits (BullMQ on a Redis whose append-only file is flushed every second), each
 * in a database of its own, in alternating rounds. Peers are tuned; ours is what is shipped: row level security, UUIDs,
 * jobs of several tenants, log rows, nothing deleted when done.
 */
import { parseArgs } from 'node:util'
import { installPeers } from './peers/loadPeer.ts'
import { PARTS } from './queue/parts.ts'
import { startServers } from './queue/servers.ts'
import { machineLine } from './support/machine.ts'

const text = (value: string) => ({ type: 'string', default: value }) as const
const OPTIONS = {
  rounds: text('5'),
  jobs: text('20000'),
  batch: text('2000'),
  samples: text('150'),
  backlog: text('200000'),
  parts: text(Object.keys(PARTS).join(',')),
}
const USAGE = Object.entries(OPTIONS)
  .map(([name, option]) => `[--${name} ${option.default}]`)
  .join(' ')

const settings = readSettings()
// The first word to stop ends the bench, as does an error that nobody waits for; what it has started is stopped below.
const interrupted = new Promise<never>((_, reject) => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => reject(new Error(`stopped by ${signal}`)))
  }
  process.on('uncaughtException', reject)
})
interrupted.catch(() => {})

installPeers()
const starting = startServers()
try {
  await Promise.race([measure(), interrupted])
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
} finally {
  await starting.then((servers) => servers.close()).catch(() => {})
  process.exit()
}

async function measure(): Promise<void> {
  const servers = await starting
  console.log(machineLine(servers.postgresVersion))
  if (!servers.redisUrl) console.log('no redis-server on PATH: BullMQ and our queue with Redis are left out')
  for (const part of settings.parts) await PARTS[part]?.(servers, settings)
}

function readSettings() {
  try {
    const { values } = parseArgs({ options: OPTIONS })
    const parts = values.parts.split(',')
    const unknown = parts.filter((part) => !PARTS[part])
    if (unknown.length > 0) throw new Error(`there is no part ${unknown.join(', ')}`)
    const number = (name: 'rounds' | 'jobs' | 'batch' | 'samples' | 'backlog') => {
      const value = Number(values[name])
      if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} is a whole number from 1`)
      return value
    }
    const [rounds, jobs, batch] = [number('rounds'), number('jobs'), number('batch')]
    return { parts, rounds, jobs, batch, samples: number('samples'), backlog: number('backlog') }
  } catch (error) {
    console.error(`${(error as Error).message}\n\nnpm run bench queue -- ${USAGE}`)
    process.exit(1)
  }
}
