/** Says how to end something that has been started. */
export type AtEnd = (stop: () => void | Promise<void>) => void

/**
 * Runs a bench that starts other processes, and ends this one. What was started is ended in the opposite order, however
 * the bench comes to its end: done, failed (exit code 1) or interrupted (130).
 */
export async function runBench(bench: (atEnd: AtEnd) => Promise<void>): Promise<never> {
  const stops: Parameters<AtEnd>[0][] = []
  let stopping: Promise<void> | undefined
  const stopAll = () => {
    stopping ??= (async () => {
      for (const stop of stops.reverse()) await stop()
    })()
    return stopping
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => void stopAll().then(() => process.exit(130)))
  }
  try {
    await bench((stop) => void stops.push(stop))
  } catch (error) {
    // What fails because it is being stopped is no news.
    if (!stopping) console.error(error)
    process.exitCode = 1
  }
  await stopAll()
  process.exit()
}

/** One line that the next one takes the place of; nothing where nobody watches. */
export function showProgress(message: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${message}`)
}
