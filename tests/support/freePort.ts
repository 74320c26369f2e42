import { findFreePort as findAnyFreePort, OWN_PORTS } from '#platform/local/freePort.ts'

const WORKERS = 8
const count = OWN_PORTS.count / WORKERS
const place = (Number(process.env.JEST_WORKER_ID ?? 1) - 1) % WORKERS
const ours = { first: OWN_PORTS.first + place * count, count }

const given = new Set<number>()

/**
 * A free port that nobody else is given: no other test worker, and in this file nobody twice. Who was given one may
 * listen there much later, or again after a while.
 */
export async function findFreePort(): Promise<number> {
  for (;;) {
    const port = await findAnyFreePort(ours)
    if (given.has(port)) continue
    given.add(port)
    return port
  }
}
