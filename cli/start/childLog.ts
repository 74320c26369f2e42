import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'
import { openLogFile } from '#platform/local/logFile.ts'

/** One process's log, `logs/<name>.log` in the data folder: JSON lines. */
export type ChildLog = {
  /**
   * What to give the process as its standard output. The file itself, not a pipe to us: when we are killed a write to a
   * pipe would fail for ever, and pino tries for ever.
   */
  descriptor: number
  /** Adds its error output, which is not JSON (a crash before the log is set up), wrapped line by line. */
  takeErrors(stderr: Readable): void
  /** The last lines, oldest first: what to show of a process that died. */
  recent(): string[]
  close(): void
}

const RECENT_LINES = 12
const LOOK_EVERY_MS = 200
const CHUNK_BYTES = 64 * 1024
const STACK_FRAME = /^\s+at /
const LOUD = new Set(['warn', 'error', 'fatal'])

/** Opens the log and hands what is written at level warn and above to `onWarning`, soon after. */
export function openChildLog(dataDir: string, name: string, onWarning: (message: string) => void): ChildLog {
  const { descriptor } = openLogFile(dataDir, name)
  const recent: string[] = []
  const note = (line: string) => {
    recent.push(line)
    if (recent.length > RECENT_LINES) recent.shift()
  }
  const readOn = followLines(path.join(dataDir, 'logs', `${name}.log`), (line) => {
    const entry = parseEntry(line)
    if (!entry) return
    const text = describe(entry)
    if (!STACK_FRAME.test(text)) note(text)
    if (LOUD.has(String(entry.level))) onWarning(text)
  })
  const timer = setInterval(readOn.next, LOOK_EVERY_MS)
  timer.unref()
  return {
    descriptor,
    takeErrors(stderr) {
      createInterface({ input: stderr }).on('line', (line) => {
        if (line.trim() !== '') writeSync(descriptor, `${wrap(name, line)}\n`)
      })
    },
    recent: () => [...recent],
    close() {
      clearInterval(timer)
      readOn.next()
      readOn.close()
      closeSync(descriptor)
    },
  }
}

/** Reads a growing file line by line, from its present end. */
function followLines(file: string, onLine: (line: string) => void): { next(): void; close(): void } {
  const descriptor = openSync(file, 'r')
  const decoder = new StringDecoder()
  const buffer = Buffer.alloc(CHUNK_BYTES)
  let position = fstatSync(descriptor).size
  let partial = ''
  return {
    next() {
      for (;;) {
        const bytes = readSync(descriptor, buffer, 0, CHUNK_BYTES, position)
        if (bytes === 0) return
        position += bytes
        const lines = (partial + decoder.write(buffer.subarray(0, bytes))).split('\n')
        partial = lines.pop() ?? ''
        for (const line of lines) onLine(line)
      }
    },
    close: () => closeSync(descriptor),
  }
}

type Entry = { level?: unknown; msg?: unknown; err?: { message?: unknown } }

function parseEntry(line: string): Entry | null {
  try {
    return JSON.parse(line)
  } catch {
    return null
  }
}

function wrap(service: string, line: string): string {
  return JSON.stringify({ level: 'info', time: new Date().toISOString(), service, stream: 'stderr', msg: line })
}

function describe({ msg, err }: Entry): string {
  return [msg, err?.message].filter((part) => part !== undefined && part !== '').join(': ')
}
