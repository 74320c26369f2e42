import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const PROJECT_ROOT = new URL('../../', import.meta.url)

/** Something generated: its name, the files and versions it is made from, and one file that it always has. */
export type Artifact = { name: string; inputs: (URL | string)[]; output: URL; make: () => Promise<void> }

/**
 * Makes `artifact` unless it was made from the same inputs before. Returns whether there was anything to do.
 * The stamp goes before the making and comes after it, so that what was interrupted is made again.
 */
export async function makeIfStale(artifact: Artifact): Promise<boolean> {
  const stamp = new URL(`generated/.made-from/${artifact.name}`, PROJECT_ROOT)
  const inputs = hashInputs(artifact.inputs)
  if (existsSync(artifact.output) && existsSync(stamp) && readFileSync(stamp, 'utf8') === inputs) return false
  rmSync(stamp, { force: true })
  await artifact.make()
  mkdirSync(new URL('.', stamp), { recursive: true })
  writeFileSync(stamp, inputs)
  return true
}

/** URLs are files (a missing one counts as empty), strings count as they are. */
function hashInputs(inputs: (URL | string)[]): string {
  const hash = createHash('sha256')
  for (const input of inputs) {
    const text = typeof input === 'string' ? input : existsSync(input) ? readFileSync(fileURLToPath(input)) : ''
    hash.update(text).update('\0')
  }
  return hash.digest('hex')
}
