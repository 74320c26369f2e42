/** What a load came to: how many requests were answered, and the first few that were not as they should be. */
export type Load = { answered: number; failures: string[] }

/** Keeps so many requests running until `work` has ended. `ask` throws when an answer is not what it should be. */
export async function underLoad(inFlight: number, ask: () => Promise<void>, work: () => Promise<void>): Promise<Load> {
  const load: Load = { answered: 0, failures: [] }
  let isOver = false
  const keepAsking = async () => {
    while (!isOver) {
      try {
        await ask()
        load.answered += 1
      } catch (error) {
        if (load.failures.length < 10) load.failures.push(String(error))
      }
    }
  }
  const asking = Promise.all(Array.from({ length: inFlight }, keepAsking))
  try {
    await work()
  } finally {
    isOver = true
    await asking
  }
  return load
}
