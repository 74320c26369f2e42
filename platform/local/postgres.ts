import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, existsSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Account, runAs } from './account.ts'
import { checkClusterVersion, clusterFolder, makeCluster, serverEnvironment } from './cluster.ts'
import { endWithUs } from './guard.ts'
import { lastLines, openLogFile } from './logFile.ts'
import { preparePostgresBinaries } from './postgresBinaries.ts'
import { preparePostgresFolders } from './postgresFolders.ts'
import { clearStalePidFile, readPidFile } from './postgresPidFile.ts'
import { StartProblem } from './startProblem.ts'

export type PostgresOptions = {
  /** The platform's data folder; the server's files go into `postgres` inside it. */
  dataDir: string
  port: number
  /** The superuser's password: given to the cluster when it is made, expected of it ever after. */
  password: string
  /** False gives up safety after a power cut for speed: for tests. */
  durable?: boolean
  onProgress?: (message: string) => void
}

export type RunningPostgres = {
  /** Superuser's connection string to the `postgres` database. */
  adminUrl: string
  pid: number
  /** Resolves with a description when the server ends, asked or not. */
  ended: Promise<string>
  /** Fast shutdown: open transactions are rolled back, everything committed is kept. */
  stop(): Promise<void>
}

/** Recovery after a crash replays the log first, which can take a while. */
const READY_DEADLINE_MS = 120_000
const STOP_DEADLINE_MS = 15_000
/** How long the backends of a server that was killed may take to notice. */
const ORPHANS_DEADLINE_MS = 10_000

/**
 * Starts the embedded PostgreSQL 18 on 127.0.0.1, making its cluster first if there is none. Only one caller at a time
 * may use a data folder (see `lockDataDir`).
 * @throws StartProblem for whatever the user can put right: port taken, folder not reachable, other version's data
 */
export async function startPostgres(options: PostgresOptions): Promise<RunningPostgres> {
  const { port, password, durable = true, onProgress = () => {} } = options
  const dataDir = path.resolve(options.dataDir)
  const { account, data, base } = preparePostgresFolders(dataDir)
  const bin = path.join(preparePostgresBinaries(account, base), 'bin')
  if (!existsSync(clusterFolder(data))) {
    onProgress('making the database cluster')
    makeCluster({ bin, data, account, password, durable })
  }
  checkClusterVersion(data)
  await clearStalePidFile(clusterFolder(data))
  const { server, ended } = await runServer({ bin, data, dataDir, account, port, durable })
  const pid = server.pid as number
  endWithUs(server, 'INT')
  return {
    adminUrl: `postgresql://postgres:${encodeURIComponent(password)}@127.0.0.1:${port}/postgres`,
    pid,
    ended,
    async stop() {
      server.kill('SIGINT')
      const late = setTimeout(() => server.kill('SIGQUIT'), STOP_DEADLINE_MS)
      await ended
      clearTimeout(late)
    },
  }
}

type Server = { bin: string; data: string; dataDir: string; account: Account; port: number; durable: boolean }
type Started = { server: ChildProcess; ended: Promise<string> }

async function runServer(options: Server): Promise<Started> {
  const patience = Date.now() + ORPHANS_DEADLINE_MS
  for (;;) {
    const { server, ended, log } = spawnServer(options)
    const end = await waitUntilReady(server, ended, clusterFolder(options.data))
    if (end === null) return { server, ended }
    const written = log.read()
    if (/pre-existing shared memory block/.test(written) && Date.now() < patience) {
      await sleep(200)
      continue
    }
    if (/could not bind IPv4 address/.test(written)) {
      throw new StartProblem(`port ${options.port} is taken by another program: set POSTGRES_PORT to a free one`)
    }
    throw new StartProblem(`PostgreSQL did not start (${end}); its log ends:\n${lastLines(written)}`)
  }
}

function spawnServer({ bin, data, dataDir, account, port, durable }: Server) {
  const log = openLogFile(dataDir, 'postgres')
  const server = spawn(
    path.join(bin, 'postgres'),
    ['-D', clusterFolder(data), '-p', String(port), ...settings(durable)],
    {
      cwd: '/',
      stdio: ['ignore', log.descriptor, log.descriptor],
      // Its own process group: Ctrl-C at the terminal must not reach it before those that use it have stopped.
      detached: true,
      env: serverEnvironment(),
      ...runAs(account),
    },
  )
  closeSync(log.descriptor)
  const ended = new Promise<string>((resolve) => {
    server.once('exit', (code, signal) => resolve(signal ? `ended by ${signal}` : `ended with code ${code}`))
    server.once('error', (error) => resolve(error.message))
  })
  return { server, ended, log }
}

function settings(durable: boolean): string[] {
  const values: Record<string, string> = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: '300',
    timezone: 'UTC',
    jit: 'off',
    // Containers often give 64 MB of shared memory, which one parallel hash join can exhaust.
    max_parallel_workers_per_gather: '0',
    log_checkpoints: 'off',
    // A busy queue leaves dead rows behind by the thousand each second: every claim steps over those not yet cleaned up.
    autovacuum_naptime: '5s',
    ...(!durable && { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }),
  }
  return Object.entries(values).flatMap(([name, value]) => ['-c', `${name}=${value}`])
}

/** Null once it takes connections; how it ended if it doesn't come to that. */
async function waitUntilReady(server: ChildProcess, ended: Promise<string>, cluster: string): Promise<string | null> {
  const deadline = Date.now() + READY_DEADLINE_MS
  let end: string | undefined
  ended.then((how) => {
    end = how
  })
  while (end === undefined) {
    const noted = readPidFile(cluster)
    if (noted?.pid === server.pid && noted?.status === 'ready') return null
    if (Date.now() > deadline) {
      server.kill('SIGQUIT')
      return `not ready after ${READY_DEADLINE_MS / 1000} s`
    }
    await sleep(10)
  }
  return end
}
