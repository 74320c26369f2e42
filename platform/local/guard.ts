import { spawn } from 'node:child_process'

/**
 * Ends a process that knows nothing of us when we die, however we die: a shell that waits for its input to close and then
 * sends the signal. Returns a function that calls the guard off, for after the process has been stopped in order.
 */
export function endWithUs(pid: number, signal: 'INT' | 'TERM'): () => void {
  const guard = spawn('/bin/sh', ['-c', `read -r _; kill -${signal} "$0" 2>/dev/null`, String(pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    cwd: '/',
    detached: true,
  })
  guard.on('error', () => {})
  guard.unref()
  // The pipe alone must not keep our event loop alive.
  ;(guard.stdin as unknown as { unref(): void }).unref()
  return () => guard.kill('SIGKILL')
}
