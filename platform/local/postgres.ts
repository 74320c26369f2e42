import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import {
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Account, runAs } from './account.ts'
import { endWithUs } from './guard.ts'
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

/**
 * Starts the embedded PostgreSQL 18 on 127.0.0.1, making its cluster first if there is none. Only one caller at a time
 * may use a data folder (see `lockDataDir`).
 * @throws StartProblem for whatever the user can put right: port taken, folder not reachable, other version's data
 */
export async function startPostgres(options: PostgresOptions): Promise<RunningPostgres> {
  const { dataDir, port, password, durable = true, onProgress = () => {} } = options
  const { account, data, binaries } = preparePostgresFolders(path.resolve(dataDir))
  const bin = path.join(preparePostgresBinaries(account, binaries), 'bin')
  const cluster = path.join(data, 'cluster')
  if (!existsSync(cluster)) {
    onProgress('making the database cluster')
    makeCluster({ bin, data, cluster, account, password, durable })
  }
  checkVersion(cluster)
  await clearStalePidFile(cluster)

  const log = openLog(dataDir)
  const server = spawn(path.join(bin, 'postgres'), ['-D', cluster, '-p', String(port), ...settings(durable)], {
    cwd: '/',
    stdio: ['ignore', log.descriptor, log.descriptor],
    // Its own process group: Ctrl-C at the terminal must not reach it before those that use it have stopped.
    detached: true,
    env: serverEnvironment(),
    ...runAs(account),
  })
  closeSync(log.descriptor)
  const ended = describeEnd(server)
  await waitUntilReady({ server, ended, cluster, port, readLog: log.read })
  const pid = server.pid as number
  const callOffGuard = endWithUs(pid, 'INT')
  return {
    adminUrl: `postgresql://postgres:${encodeURIComponent(password)}@127.0.0.1:${port}/postgres`,
    pid,
    ended,
    async stop() {
      server.kill('SIGINT')
      const late = setTimeout(() => server.kill('SIGQUIT'), STOP_DEADLINE_MS)
      await ended
      clearTimeout(late)
      callOffGuard()
    },
  }
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
    ...(!durable && { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }),
  }
  return Object.entries(values).flatMap(([name, value]) => ['-c', `${name}=${value}`])
}

type NewCluster = {
  bin: string
  data: string
  cluster: string
  account: Account
  password: string
  durable: boolean
}

/** Made under another name and renamed when complete: being killed halfway leaves no half cluster behind. */
function makeCluster({ bin, data, cluster, account, password, durable }: NewCluster): void {
  const unfinished = `${cluster}.new`
  const passwordFile = path.join(data, 'password')
  rmSync(unfinished, { recursive: true, force: true })
  writeFileSync(passwordFile, password, { mode: 0o600 })
  if (account) chownSync(passwordFile, account.uid, account.gid)
  try {
    const fixed = ['-D', unfinished, '-U', 'postgres', '-A', 'scram-sha-256', `--pwfile=${passwordFile}`]
    const collation = ['-E', 'UTF8', '--locale-provider=builtin', '--builtin-locale=C.UTF-8']
    const quick = durable ? [] : ['--no-sync']
    let failure = ''
    for (const locale of localeCandidates()) {
      const made = spawnSync(
        path.join(bin, 'initdb'),
        [...fixed, ...collation, ...locale, ...quick, '--no-instructions'],
        { cwd: '/', encoding: 'utf8', env: serverEnvironment(), ...runAs(account) },
      )
      if (made.status === 0) {
        renameSync(unfinished, cluster)
        return
      }
      failure = made.error?.message ?? made.stderr.trim()
      if (!/locale/i.test(failure)) break
    }
    throw new StartProblem(`PostgreSQL could not make its cluster in ${data}: ${failure}`)
  } finally {
    rmSync(passwordFile, { force: true })
  }
}

/**
 * Collation is PostgreSQL's own C.UTF-8 everywhere, so that sorting never depends on the system. The system's locale only
 * tells letters from punctuation for full-text search; which of them exist differs.
 */
function localeCandidates(): string[][] {
  const unicode = process.platform === 'darwin' ? ['--locale=C', '--lc-ctype=en_US.UTF-8'] : ['--locale=C.UTF-8']
  return [unicode, ['--locale=C']]
}

function checkVersion(cluster: string): void {
  const version = readFileSync(path.join(cluster, 'PG_VERSION'), 'utf8').trim()
  if (version === '18') return
  throw new StartProblem(
    `${cluster} holds data of PostgreSQL ${version}, this is PostgreSQL 18: set DATA_DIR elsewhere`,
  )
}

/** The user's PG… variables (PGDATA, PGPORT, PGHOST) are about other servers. */
function serverEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(PG|LC_|LANG|LD_)/.test(name)))
}

function openLog(dataDir: string): { descriptor: number; read: () => string } {
  const file = path.join(dataDir, 'logs', 'postgres.log')
  mkdirSync(path.dirname(file), { recursive: true })
  const before = existsSync(file) ? readFileSync(file).length : 0
  const descriptor = openSync(file, 'a', 0o600)
  return { descriptor, read: () => readFileSync(file).subarray(before).toString('utf8') }
}

function describeEnd(server: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    server.once('exit', (code, signal) => resolve(signal ? `ended by ${signal}` : `ended with code ${code}`))
    server.once('error', (error) => resolve(error.message))
  })
}

type Waiting = {
  server: ChildProcess
  ended: Promise<string>
  cluster: string
  port: number
  readLog: () => string
}

async function waitUntilReady({ server, ended, cluster, port, readLog }: Waiting): Promise<void> {
  const deadline = Date.now() + READY_DEADLINE_MS
  let end: string | undefined
  ended.then((how) => {
    end = how
  })
  while (end === undefined) {
    const noted = readPidFile(cluster)
    if (noted?.pid === server.pid && noted?.status === 'ready') return
    if (Date.now() > deadline) {
      server.kill('SIGQUIT')
      throw new StartProblem(
        `PostgreSQL was not ready after ${READY_DEADLINE_MS / 1000} s; its log ends:\n${tail(readLog())}`,
      )
    }
    await sleep(10)
  }
  const log = readLog()
  if (/could not bind IPv4 address/.test(log)) {
    throw new StartProblem(`port ${port} is taken by another program: set POSTGRES_PORT to a free one`)
  }
  throw new StartProblem(`PostgreSQL did not start (${end}); its log ends:\n${tail(log)}`)
}

function tail(text: string): string {
  return text.trimEnd().split('\n').slice(-8).join('\n')
}
