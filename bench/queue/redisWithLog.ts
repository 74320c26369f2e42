import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { endWithUs } from '#platform/local/guard.ts'

const READY_DEADLINE_MS = 10_000

/**
 * A redis-server on 127.0.0.1 that keeps its jobs: what it was told is written to an append-only file, flushed every
 * second, in a temporary folder that is gone when it stops. The platform's own Redis keeps nothing, so it is no model.
 */
export async function startRedisWithLog(port: number): Promise<{ url: string; stop(): Promise<void> }> {
  const folder = mkdtempSync(path.join(tmpdir(), 'penguinmails-bench-redis-'))
  const durable = ['--save', '', '--appendonly', 'yes', '--appendfsync', 'everysec', '--dir', folder]
  const server = spawn('redis-server', ['--bind', '127.0.0.1', '--port', String(port), ...durable], {
    // Its own process group: Ctrl-C at the terminal must not reach it before those that use it have stopped.
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  let output = ''
  server.stdout.on('data', (chunk) => {
    output = (output + chunk).slice(-4_000)
  })
  const ended = new Promise<void>((resolve) => {
    server.once('exit', () => resolve())
    server.once('error', () => resolve())
  })
  const stop = async () => {
    server.kill('SIGKILL')
    await ended
    rmSync(folder, { recursive: true, force: true })
  }
  const deadline = Date.now() + READY_DEADLINE_MS
  while (!output.includes('Ready to accept connections')) {
    if (server.exitCode !== null || Date.now() > deadline) {
      await stop()
      throw new Error(`redis-server did not start:\n${output.trim()}`)
    }
    await sleep(10)
  }
  endWithUs(server, 'TERM')
  return { url: `redis://127.0.0.1:${port}/0`, stop }
}
