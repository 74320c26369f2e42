import { createWriteStream, mkdirSync } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'

export type ChildLog = {
  /** The last lines, oldest first: what to show of a process that died. */
  recent(): string[]
  close(): void
}

const RECENT_LINES = 12
const STACK_FRAME = /^\s+at /
const LOUD = new Set(['warn', 'error', 'fatal'])

/**
 * Writes a process's output to `logs/<name>.log` as JSON lines, and hands warnings and worse to `onWarning`.
 * What is not JSON (a crash before the log is set up) is wrapped, so that the file can be read line by line.
 */
export function recordLog(
  { name, dataDir, streams }: { name: string; dataDir: string; streams: Readable[] },
  onWarning: (message: string) => void,
): ChildLog {
  const folder = path.join(dataDir, 'logs')
  mkdirSync(folder, { recursive: true })
  const file = createWriteStream(path.join(folder, `${name}.log`), { flags: 'a', mode: 0o600 })
  file.on('error', () => {})
  const recent: string[] = []
  for (const stream of streams) {
    createInterface({ input: stream }).on('line', (line) => {
      const entry = parseEntry(line)
      file.write(`${entry ? line : wrap(name, line)}\n`)
      if (!STACK_FRAME.test(line)) recent.push(entry ? describe(entry) : line)
      if (recent.length > RECENT_LINES) recent.shift()
      if (entry && LOUD.has(String(entry.level))) onWarning(describe(entry))
    })
  }
  return { recent: () => [...recent], close: () => file.end() }
}

type Entry = { level?: unknown; msg?: unknown; err?: { message?: unknown } }

function parseEntry(line: string): Entry | null {
  if (!line.startsWith('{')) return null
  try {
    return JSON.parse(line)
  } catch {
    return null
  }
}

function wrap(service: string, line: string): string {
  return JSON.stringify({ level: 'error', time: new Date().toISOString(), service, msg: line })
}

function describe({ msg, err }: Entry): string {
  return [msg, err?.message].filter((part) => part !== undefined && part !== '').join(': ')
}
