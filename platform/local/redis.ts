import { spawn, spawnSync } from 'node:child_process'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { endWithUs } from './guard.ts'
import { StartProblem } from './startProblem.ts'

export type RunningRedis = { url: string; pid: number; ended: Promise<string>; stop(): Promise<void> }

const READY_DEADLINE_MS = 10_000
const STOP_DEADLINE_MS = 5_000

/** Whether a redis-server can be found on PATH. */
export function hasRedisServer(): boolean {
  return spawnSync('redis-server', ['--version'], { stdio: 'ignore' }).status === 0
}

/**
 * Starts a redis-server of our own on 127.0.0.1. It keeps nothing on disk: whatever is in it can be rebuilt from
 * PostgreSQL.
 * @throws StartProblem when it does not start, the port being taken for instance
 */
export async function startRedis({ port }: { port: number }): Promise<RunningRedis> {
  const server = spawn(
    'redis-server',
    ['--bind', '127.0.0.1', '--port', String(port), '--save', '', '--appendonly', 'no', '--daemonize', 'no'],
    // Its own process group: Ctrl-C at the terminal must not reach it before those that use it have stopped.
    { cwd: '/', stdio: ['ignore', 'pipe', 'pipe'], detached: true },
  )
  let output = ''
  for (const stream of [server.stdout, server.stderr]) {
    stream.on('data', (chunk) => {
      output = (output + chunk).slice(-4_000)
    })
  }
  let end: string | undefined
  const ended = new Promise<string>((resolve) => {
    server.once('exit', (code, signal) => resolve(signal ? `ended by ${signal}` : `ended with code ${code}`))
    server.once('error', (error) => resolve(error.message))
  })
  ended.then((how) => {
    end = how
  })
  const deadline = Date.now() + READY_DEADLINE_MS
  // Its own line, not a connection, tells that it is ready: on a taken port somebody else would answer.
  while (!output.includes('Ready to accept connections')) {
    if (end !== undefined || Date.now() > deadline) {
      server.kill('SIGKILL')
      throw new StartProblem(
        output.includes('Address already in use')
          ? `port ${port} is taken by another program: set REDIS_PORT to a free one`
          : `redis-server did not start (${end ?? 'not ready in time'}):\n${output.trim()}`,
      )
    }
    await sleep(10)
  }
  const pid = server.pid as number
  endWithUs(server, 'TERM')
  return {
    url: `redis://127.0.0.1:${port}/0`,
    pid,
    ended,
    async stop() {
      server.kill('SIGTERM')
      const late = setTimeout(() => server.kill('SIGKILL'), STOP_DEADLINE_MS)
      await ended
      clearTimeout(late)
    },
  }
}

/** Whether something answers at the address of this Redis URL. */
export function canConnect(url: string, timeoutMs = 2_000): Promise<boolean> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port || 6379), timeout: timeoutMs })
    const answer = (reachable: boolean) => {
      socket.destroy()
      resolve(reachable)
    }
    socket.once('connect', () => answer(true))
    socket.once('error', () => answer(false))
    socket.once('timeout', () => answer(false))
  })
}
