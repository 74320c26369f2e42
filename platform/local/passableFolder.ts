import { chmodSync, existsSync, mkdirSync } from 'node:fs'
import { StartProblem } from './startProblem.ts'

/**
 * Makes a folder that other accounts may pass through but not list; one that exists keeps its mode.
 * @throws StartProblem when it cannot be made
 */
export function makePassableFolder(folder: string): void {
  if (existsSync(folder)) return
  try {
    mkdirSync(folder, { recursive: true })
    chmodSync(folder, 0o711)
  } catch (error) {
    throw new StartProblem(
      `cannot make ${folder} (${(error as Error).message}): set DATA_DIR to a folder that can be made`,
    )
  }
}
