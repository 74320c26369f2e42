import { watch } from 'node:fs'
import path from 'node:path'
import { TIERS } from '#platform/contracts/tiers.ts'
import { ROOT } from './generated.ts'
import type { ServiceName } from './processes.ts'

/** Saving in an editor makes several events. */
const SETTLE_MS = 150

/** Calls `restart` with the services whose code has changed. Returns a function that ends the watch. */
export function watchCode(restart: (names: ServiceName[]) => void): () => void {
  const changed = new Set<ServiceName>()
  let timer: NodeJS.Timeout | undefined
  const watchers = ['gateway', 'subgraphs', 'platform', 'cli/sandbox'].map((folder) =>
    watch(path.join(ROOT, folder), { recursive: true }, (_event, file) => {
      if (!file || !/\.(ts|graphql)$/.test(file)) return
      for (const name of servicesOf(folder, file)) changed.add(name)
      clearTimeout(timer)
      timer = setTimeout(() => {
        restart([...changed])
        changed.clear()
      }, SETTLE_MS)
    }),
  )
  return () => {
    for (const watcher of watchers) watcher.close()
  }
}

function servicesOf(folder: string, file: string): ServiceName[] {
  if (folder === 'gateway') return ['gateway']
  if (folder === 'cli/sandbox') return ['sandbox']
  if (folder === 'platform') return [...TIERS, 'worker', 'gateway', 'smtpDoor', 'sandbox']
  const tier = TIERS.find((one) => file.split(path.sep)[0] === one)
  if (!tier) return []
  if (tier === 'oltp') return ['oltp', 'smtpDoor']
  return tier === 'queue' ? ['queue', 'worker'] : [tier]
}
