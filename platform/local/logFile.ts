import { existsSync, mkdirSync, openSync, readFileSync, renameSync, statSync } from 'node:fs'
import path from 'node:path'

/** A log that has grown past this is set aside as `<name>.1.log` at the next start. */
const MAX_BYTES = 20 * 1024 * 1024

export type LogFile = {
  /** Open for appending: give it to a process, then close it. */
  descriptor: number
  /** What has been written since it was opened. */
  read(): string
}

/** Opens `logs/<name>.log` of the data folder for appending; only we may read it. */
export function openLogFile(dataDir: string, name: string): LogFile {
  const file = path.join(dataDir, 'logs', `${name}.log`)
  mkdirSync(path.dirname(file), { recursive: true })
  if (existsSync(file) && statSync(file).size > MAX_BYTES) {
    renameSync(file, path.join(dataDir, 'logs', `${name}.1.log`))
  }
  const descriptor = openSync(file, 'a', 0o600)
  const before = statSync(file).size
  return { descriptor, read: () => readFileSync(file).subarray(before).toString('utf8') }
}

/** The last lines of a log. */
export function lastLines(log: string, count = 8): string {
  return log.trimEnd().split('\n').slice(-count).join('\n')
}
