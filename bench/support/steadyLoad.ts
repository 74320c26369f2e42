import { setTimeout as sleep } from 'node:timers/promises'

export type SteadyLoad = { count: number; perSecond: number; signal?: AbortSignal | undefined }

/**
 * Sends requests at a steady rate, whether or not earlier ones are answered: who is slow does not slow its own load.
 * @param send gets a request's number, and when it was due on the clock of `performance.now()`
 * @throws what the first request that failed did
 */
export async function sendSteadily<Answer>(
  { count, perSecond, signal }: SteadyLoad,
  send: (n: number, dueAt: number) => Promise<Answer>,
): Promise<Answer[]> {
  const startedAt = performance.now() + 50
  const answers: Promise<Answer>[] = []
  while (answers.length < count) {
    signal?.throwIfAborted()
    const due = Math.min(count, Math.ceil(((performance.now() - startedAt) / 1_000) * perSecond))
    while (answers.length < due) {
      const answer = send(answers.length, startedAt + (1_000 * answers.length) / perSecond)
      // Awaited below; until then a failure is nobody's news.
      answer.catch(() => {})
      answers.push(answer)
    }
    await sleep(1)
  }
  return Promise.all(answers)
}
