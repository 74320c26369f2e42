import { setTimeout as sleep } from 'node:timers/promises'
import type { DataDirLock } from '#platform/local/dataDirLock.ts'
import type { Terminal } from './terminal.ts'

/** A server of somebody else's making: PostgreSQL, Redis. */
export type Server = { pid: number; ended: Promise<string>; stop(): Promise<void> }

const ATTEMPTS = 5

/**
 * Starts a server and starts it again when it ends unasked, until `stop`. `onLost` is called when it cannot be brought
 * back. Those that use it notice a gap and connect again by themselves.
 */
export async function keepRunning<Kind extends Server>(
  name: string,
  start: () => Promise<Kind>,
  { lock, terminal, onLost }: { lock: DataDirLock; terminal: Terminal; onLost: (error: unknown) => void },
): Promise<{ first: Kind; stop(): Promise<void> }> {
  let stopping = false
  const first = await start()
  let current: Server = first
  watch(first)

  function watch(server: Server): void {
    current = server
    lock.track(name, server.pid)
    server.ended.then(async (how) => {
      lock.untrack(server.pid)
      if (!stopping) await bringBack(how)
    })
  }

  async function bringBack(how: string): Promise<void> {
    terminal.warn(`${name} ${how}; starting it again`)
    for (let attempt = 1; !stopping; attempt += 1) {
      try {
        watch(await start())
        if (stopping) await current.stop()
        return
      } catch (error) {
        if (attempt === ATTEMPTS) return onLost(error)
        await sleep(500 * attempt)
      }
    }
  }

  return {
    first,
    async stop() {
      stopping = true
      await current.stop()
    },
  }
}
