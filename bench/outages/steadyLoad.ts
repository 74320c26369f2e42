import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Sends requests at their times, whether or not earlier ones are answered: who is slow does not get less to do. Latencies
 * in milliseconds, each from the moment at which it should have been sent.
 * @throws what the first request that failed did, once all have ended
 */
export async function sendSteadily(
  { perSecond, ms }: { perSecond: number; ms: number },
  ask: (n: number) => Promise<unknown>,
): Promise<number[]> {
  const latencies: number[] = []
  const failures: unknown[] = []
  const underWay: Promise<unknown>[] = []
  const start = performance.now()
  const total = Math.round((perSecond * ms) / 1000)
  for (let n = 0; n < total; n += 1) {
    const due = start + (n * 1000) / perSecond
    const early = due - performance.now()
    if (early > 0) await sleep(early)
    underWay.push(
      ask(n).then(
        () => latencies.push(performance.now() - due),
        (error) => failures.push(error),
      ),
    )
  }
  await Promise.all(underWay)
  if (failures.length > 0) throw failures[0]
  return latencies
}
