import { type ChildProcess, spawn } from 'node:child_process'

/**
 * Ends a process that knows nothing of us when we die, however we die: a shell that waits for its input to close and then
 * sends the signal. It is called off when the process ends: its number may by then be another's.
 */
export function endWithUs(child: ChildProcess, signal: 'INT' | 'TERM'): void {
  const guard = spawn('/bin/sh', ['-c', `read -r _; kill -${signal} "$0" 2>/dev/null`, String(child.pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    cwd: '/',
    detached: true,
  })
  guard.on('error', () => {})
  guard.unref()
  // The pipe alone must not keep our event loop alive.
  ;(guard.stdin as unknown as { unref(): void }).unref()
  const callOff = () => guard.kill('SIGKILL')
  if (child.exitCode !== null || child.signalCode !== null) callOff()
  else child.once('exit', callOff)
}
