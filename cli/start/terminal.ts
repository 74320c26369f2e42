/** What the person at the terminal sees: one line per step, and a line that changes in place while a step runs. */
export type Terminal = {
  /** A step that is done, with the time since the process began. */
  step(message: string): void
  /** How far a long step has got; on anything but a terminal, at most one line each five seconds. */
  progress(message: string): void
  /** Something that went wrong but is being dealt with; the same again within ten seconds is not shown. */
  warn(message: string): void
  /** Text as it is, for the result. */
  print(text: string): void
}

const QUIET_MS = 5_000
const REPEAT_MS = 10_000

export function makeTerminal(out: NodeJS.WriteStream = process.stdout): Terminal {
  const interactive = Boolean(out.isTTY)
  let lastProgress = 0
  const lastWarned = new Map<string, number>()
  let unfinishedLine = false
  // A reader that goes away (`npm start | head`) is no reason to fall.
  out.on('error', () => {})

  const line = (text: string) => {
    out.write(`${unfinishedLine ? '\r\u001b[K' : ''}${text}\n`)
    unfinishedLine = false
  }
  const clock = () => `${(performance.now() / 1000).toFixed(1).padStart(5)} s`
  return {
    step: (message) => line(`${clock()}  ${message}`),
    progress(message) {
      if (interactive) {
        const width = Math.max((out.columns ?? 80) - 12, 20)
        out.write(`\r\u001b[K${clock()}  ${message.slice(0, width)}`)
        unfinishedLine = true
      } else if (performance.now() - lastProgress > QUIET_MS) {
        lastProgress = performance.now()
        line(`${clock()}  ${message}`)
      }
    },
    warn(message) {
      const now = performance.now()
      if (now - (lastWarned.get(message) ?? -REPEAT_MS) < REPEAT_MS) return
      if (lastWarned.size > 100) lastWarned.clear()
      lastWarned.set(message, now)
      line(`${clock()}  warning: ${message}`)
    },
    print: line,
  }
}
