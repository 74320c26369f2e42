import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { StartProblem } from '#platform/local/startProblem.ts'

/** The repository's folder. */
export const ROOT = path.resolve(import.meta.dirname, '../..')

/**
 * Makes `generated/` (database clients, resolver types) if it is not there: `npm ci` does it, unless install scripts are
 * denied.
 * @throws StartProblem with the generator's output when it fails
 */
export function ensureGenerated(onProgress: (message: string) => void): void {
  if (existsSync(path.join(ROOT, 'generated/prisma')) && existsSync(path.join(ROOT, 'generated/graphql'))) return
  onProgress('generating database clients and types (npm ci could not)')
  const run = spawnSync(process.execPath, ['--import', 'tsx', 'cli/generate.ts'], { cwd: ROOT, encoding: 'utf8' })
  if (run.status !== 0) throw new StartProblem(`generating code failed:\n${run.stdout}${run.stderr}`)
}
