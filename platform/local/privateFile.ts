import { randomBytes } from 'node:crypto'
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'

/** The file's JSON, or null if there is no such file. */
export function readJsonFile(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/** Writes JSON that only we may read (0600). Readers see the old text or the new, never a part of it. */
export function replaceJsonFile(file: string, value: unknown): void {
  renameSync(writeBeside(file, value), file)
}

/** Like `replaceJsonFile`, but leaves a file that exists alone and returns false: of two makers, the first wins. */
export function createJsonFile(file: string, value: unknown): boolean {
  const written = writeBeside(file, value)
  try {
    linkSync(written, file)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    rmSync(written, { force: true })
  }
}

function writeBeside(file: string, value: unknown): string {
  mkdirSync(path.dirname(file), { recursive: true })
  const beside = `${file}.${randomBytes(6).toString('hex')}`
  writeFileSync(beside, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 })
  return beside
}
