import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { v7 as uuidv7 } from 'uuid'
import { TRACKING_JOB_TYPE } from '#platform/contracts/trackingHit.ts'
import { loadDevKey } from '#platform/local/devKey.ts'
import { inheritedEnvironment, localEnvironment, type ProcessSettings } from '#platform/local/environment.ts'
import { findFreePort } from '#platform/local/freePort.ts'
import { type LocalPorts, PORT_SETTINGS } from '#platform/local/settings.ts'
import { makeTrackingKey } from '#platform/tracking/keys.ts'
import { clickUrl, openUrl, type TrackingOptions, unsubscribeUrl } from '#platform/tracking/links.ts'
import { percentile } from '../support/statistics.ts'
import { formatTable } from '../support/table.ts'
import { type OwnDatabase, startOwnDatabase } from '../support/tierDatabase.ts'
import { fire, type Shot } from './load.ts'

const WARM_UP = 500
const KINDS = ['open', 'click', 'unsubscribe'] as const
const ROOT = path.resolve(import.meta.dirname, '../..')

/** Seven opens, two clicks and an unsubscribe in ten, for mails of fifty tenants. */
export async function measureEndpoints({
  rate,
  seconds,
  signal,
}: {
  rate: number
  seconds: number
  signal: AbortSignal
}) {
  const database = await startOwnDatabase('queue', { durable: true })
  const dataDir = mkdtempSync(path.join(tmpdir(), 'penguinmails-bench-tracking-'))
  const processes: ChildProcess[] = []
  try {
    const settings = await makeSettings(dataDir, database)
    processes.push(start('subgraphs/queue/server.ts', settings.queue), start('gateway/server.ts', settings.gateway))
    for (const name of ['queue', 'gateway'] as const) await untilReady(settings[name][PORT_SETTINGS[name]], signal)
    const options = {
      publicUrl: String(settings.oltp.PUBLIC_URL),
      keys: [makeTrackingKey(Buffer.from(settings.oltp.TRACKING_KEY ?? '', 'base64'))] as const,
    }
    await fire(makeShots(WARM_UP, options), Math.min(rate, WARM_UP), signal)
    const shots = makeShots(Math.round(rate * seconds), options)
    const timed = await fire(shots, rate, signal)
    console.log(`\nAnswered at ${rate} requests a second over ${seconds} s, milliseconds from when each was due\n`)
    const rows = [...KINDS, 'all'].map((kind) => {
      const ms = timed.filter((one) => kind === 'all' || one.kind === kind).map((one) => one.ms)
      return [kind, String(ms.length), ...[0.5, 0.95, 0.99, 1].map((share) => percentile(ms, share).toFixed(1))]
    })
    console.log(formatTable(['', 'requests', 'p50', 'p95', 'p99', 'slowest'], rows))
    await untilAllQueued(database, WARM_UP + shots.length, signal)
    console.log('\nall of them are in the queue, each once')
  } finally {
    await Promise.all(processes.map(stop))
    await database.close()
    rmSync(dataDir, { recursive: true, force: true })
  }
}

async function makeSettings(dataDir: string, database: OwnDatabase) {
  await loadDevKey(dataDir)
  const names = Object.keys(PORT_SETTINGS) as (keyof LocalPorts)[]
  const ports = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await findFreePort()])))
  return localEnvironment(dataDir, ports as LocalPorts, {
    QUEUE_DATABASE_URL: database.url,
    QUEUE_SYSTEM_DATABASE_URL: database.systemUrl,
    QUEUE_OWNER_DATABASE_URL: database.ownerUrl,
    LOG_LEVEL: 'error',
  })
}

function start(file: string, settings: ProcessSettings): ChildProcess {
  const env = { ...inheritedEnvironment(process.env), ...settings, LOG_LEVEL: 'error', NODE_ENV: 'production' }
  return spawn(process.execPath, ['--import', 'tsx', file], { cwd: ROOT, env, stdio: ['ignore', 'ignore', 'inherit'] })
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  await ended
}

async function untilReady(port: string | undefined, signal: AbortSignal): Promise<void> {
  for (let waited = 0; waited < 60_000; waited += 100) {
    signal.throwIfAborted()
    const answer = await fetch(`http://127.0.0.1:${port}/health/ready`).catch(() => null)
    if (answer?.ok) return
    await sleep(100)
  }
  throw new Error('a process did not get ready')
}

/** @throws Error when after ten seconds there are not as many jobs as there were requests */
async function untilAllQueued(database: OwnDatabase, wanted: number, signal: AbortSignal): Promise<void> {
  const client = new pg.Client(database.systemUrl)
  await client.connect()
  try {
    let found = 0
    for (let waited = 0; waited < 10_000 && found !== wanted; waited += 100) {
      signal.throwIfAborted()
      await sleep(100)
      const { rows } = await client.query('SELECT count(*)::int AS found FROM jobs WHERE job_type = $1', [
        TRACKING_JOB_TYPE,
      ])
      found = rows[0].found
    }
    if (found !== wanted) throw new Error(`${found} jobs of ${wanted} requests`)
  } finally {
    await client.end()
  }
}

function makeShots(count: number, options: TrackingOptions): Shot[] {
  const tenants = Array.from({ length: 50 }, () => uuidv7())
  return Array.from({ length: count }, (_, n): Shot => {
    const mail = { tenantId: tenants[n % tenants.length] as string, messageId: uuidv7() }
    if (n % 10 < 7) return { kind: 'open', method: 'GET', url: openUrl(mail, options), wanted: 200 }
    if (n % 10 === 9) return { kind: 'unsubscribe', method: 'POST', url: unsubscribeUrl(mail, options), wanted: 200 }
    const href = `https://product.example/tour?utm_source=mail&utm_campaign=autumn&n=${n}`
    return { kind: 'click', method: 'GET', url: String(clickUrl(mail, { href, linkIndex: 0 }, options)), wanted: 302 }
  })
}
