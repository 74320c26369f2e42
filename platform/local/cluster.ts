import { spawnSync } from 'node:child_process'
import { chownSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type Account, runAs } from './account.ts'
import { StartProblem } from './startProblem.ts'

export type NewCluster = {
  /** Folder of PostgreSQL's binaries. */
  bin: string
  /** Folder of the account's, in which the cluster is made. */
  data: string
  account: Account
  /** The superuser's. */
  password: string
  durable: boolean
}

/** Where in its data folder PostgreSQL's cluster is. */
export function clusterFolder(data: string): string {
  return path.join(data, 'cluster')
}

/**
 * Runs initdb: superuser `postgres`, passwords required from everybody (scram).
 * The cluster is made under another name and renamed when complete: being killed halfway leaves no half cluster behind.
 */
export function makeCluster({ bin, data, account, password, durable }: NewCluster): void {
  const unfinished = `${clusterFolder(data)}.new`
  const passwordFile = path.join(data, 'password')
  rmSync(unfinished, { recursive: true, force: true })
  writeFileSync(passwordFile, password, { mode: 0o600 })
  if (account) chownSync(passwordFile, account.uid, account.gid)
  try {
    const options = [
      ...['-D', unfinished, '-U', 'postgres', '-A', 'scram-sha-256', `--pwfile=${passwordFile}`, '--no-instructions'],
      ...['-E', 'UTF8', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'],
      ...(durable ? [] : ['--no-sync']),
    ]
    let failure = ''
    for (const locale of localeCandidates()) {
      const made = spawnSync(path.join(bin, 'initdb'), [...options, ...locale], {
        cwd: '/',
        encoding: 'utf8',
        env: serverEnvironment(),
        ...runAs(account),
      })
      if (made.status === 0) {
        renameSync(unfinished, clusterFolder(data))
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

/** @throws StartProblem when the cluster was made by another major version */
export function checkClusterVersion(data: string): void {
  const version = readFileSync(path.join(clusterFolder(data), 'PG_VERSION'), 'utf8').trim()
  if (version === '18') return
  throw new StartProblem(`${data} holds data of PostgreSQL ${version}, this is PostgreSQL 18: set DATA_DIR elsewhere`)
}

/** The user's PG… variables (PGDATA, PGPORT, PGHOST) are about other servers. */
export function serverEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(PG|LC_|LANG|LD_)/.test(name)))
}

/**
 * Collation is PostgreSQL's own C.UTF-8 everywhere, so that sorting never depends on the system. The system's locale only
 * tells letters from punctuation for full-text search; which of them exist differs.
 */
function localeCandidates(): string[][] {
  const unicode = process.platform === 'darwin' ? ['--locale=C', '--lc-ctype=en_US.UTF-8'] : ['--locale=C.UTF-8']
  return [unicode, ['--locale=C']]
}
