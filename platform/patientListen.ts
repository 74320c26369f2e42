import type { Server } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

const ATTEMPTS = 5
const PAUSE_MS = 250

/**
 * Has a server listen; tries for a second, since a restarted process may come before its predecessor's port is free.
 * @param setting names the port in the error
 * @throws Error that says which port is taken
 */
export async function listenPatiently(
  server: Server,
  { host, port, setting }: { host: string; port: number; setting: string },
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await listen(server, host, port)
      return
    } catch (error) {
      const isTaken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
      if (!isTaken) throw error
      if (attempt === ATTEMPTS) throw new Error(`${setting} ${port} on ${host} is taken by another process`)
      await sleep(PAUSE_MS)
    }
  }
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
}
