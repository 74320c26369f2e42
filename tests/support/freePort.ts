import { isPortFree } from '#platform/local/freePort.ts'

const FIRST = 20_000
const WORKERS = 8
const PORTS_EACH = 12_000 / WORKERS

const given = new Set<number>()

/**
 * A free port that nobody else is given: no other test worker, and in this file nobody twice. Who was given one may
 * listen there much later, or again after a while.
 */
export async function findFreePort(): Promise<number> {
  const place = (Number(process.env.JEST_WORKER_ID ?? 1) - 1) % WORKERS
  for (;;) {
    const port = FIRST + place * PORTS_EACH + Math.floor(Math.random() * PORTS_EACH)
    if (given.has(port)) continue
    given.add(port)
    if (await isPortFree(port)) return port
  }
}
