import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'

/**
 * Installs the peers unless they are. They live in a package of their own, so that whoever only runs or tests the
 * platform never downloads them; in this folder, since `#platform/…` would mean nothing in files next to a package.json.
 */
export function installPeers(): void {
  const folder = import.meta.dirname
  if (existsSync(`${folder}/node_modules/.package-lock.json`)) return
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
