import { spawnSync } from 'node:child_process'
import { statSync } from 'node:fs'
import path from 'node:path'

const folder = import.meta.dirname

/**
 * Installs the peers unless they are. They live in a package of their own, so that whoever only runs or tests the
 * platform never downloads them; in this folder, since `#platform/…` would mean nothing in files next to a package.json.
 */
export function installPeers(): void {
  // npm writes the first of these when it has installed: peers that came into the second later are not among those.
  if (modifiedAt('node_modules/.package-lock.json') > modifiedAt('package-lock.json')) return
  console.log('installing the peers (npm ci in bench/peers)')
  // Errors only: two of them ask for a newer Node than the platform does, and run on this one.
  const { status } = spawnSync('npm', ['ci', '--loglevel=error'], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  if (status !== 0) throw new Error('the peers could not be installed: npm ci in bench/peers tells why')
}

/** A peer's module, as far as `Face` says what is used of it: types that need no installation. */
export async function loadPeer<Face>(name: string): Promise<Face> {
  return (await import(name)) as Face
}

/** Where a file of a peer is that is run, not imported by its name. */
export function peerFile(file: string): string {
  return path.join(folder, 'node_modules', file)
}

function modifiedAt(file: string): number {
  return statSync(path.join(folder, file), { throwIfNoEntry: false })?.mtimeMs ?? 0
}
