import { setTimeout as sleep } from 'node:timers/promises'

/** Asks again until the answer is as wanted. @throws Error with the last answer after the deadline */
export async function eventually<Answer>(
  ask: () => Promise<Answer>,
  wanted: (answer: Answer) => boolean,
  deadlineMs = 20_000,
): Promise<Answer> {
  const deadline = Date.now() + deadlineMs
  for (;;) {
    const answer = await ask()
    if (wanted(answer)) return answer
    if (Date.now() > deadline) throw new Error(`not within ${deadlineMs} ms: ${JSON.stringify(answer)}`)
    await sleep(50)
  }
}
