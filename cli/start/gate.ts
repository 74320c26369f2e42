/**
 * Loaded into each service before its own code. It does two things a service need not know of:
 * loads the service's modules while databases are still being made, and holds it back until they are there;
 * sees to it that the service ends when whoever started it is gone, however that came about.
 */
import { pathToFileURL } from 'node:url'

const { GATE_PRELOAD } = process.env
const STOP_DEADLINE_MS = 12_000

if (process.send) {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  process.once('disconnect', () => {
    setTimeout(() => process.exit(1), STOP_DEADLINE_MS).unref()
    process.kill(process.pid, 'SIGTERM')
  })
  process.once('message', open)
  // What fails to load fails again, and better, when the service asks for it.
  if (GATE_PRELOAD) await import(pathToFileURL(GATE_PRELOAD).href).catch(() => {})
  await opened
}
