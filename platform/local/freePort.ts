import { createServer } from 'node:net'

/** Whether nobody listens on this port of 127.0.0.1. */
export function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen({ port, host: '127.0.0.1', exclusive: true }, () => probe.close(() => resolve(true)))
  })
}

/** Below the range from which the system gives out ports by itself. */
export const OWN_PORTS = { first: 20_000, count: 12_000 }

/** A free port, by chance one of these. */
export async function findFreePort({ first, count } = OWN_PORTS): Promise<number> {
  for (;;) {
    const port = first + Math.floor(Math.random() * count)
    if (await isPortFree(port)) return port
  }
}
