import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import type { Log } from '#platform/log.ts'
import { addProcessMetrics, type Metrics } from '#platform/metrics.ts'

/** Something that listens; `close` ends it and all that it holds. */
export type Service = { app: FastifyInstance; log: Log; metrics: Metrics; close: () => Promise<void> }

const CLOSE_TIMEOUT_MS = 10_000

/**
 * Listens and stays until SIGTERM, SIGINT or the loss of a parent that spawned it with an IPC channel; then finishes
 * what is under way and exits 0. Exits 1 with one readable line when it cannot listen.
 */
export async function serve(service: Service, { host, port }: { host: string; port: number }) {
  const { app, log } = service
  try {
    await listen(app, host, port)
  } catch (error) {
    const reason = isPortTaken(error) ? `port ${port} on ${host} is taken by another process` : String(error)
    log.fatal({ err: error }, `cannot listen: ${reason}`)
    process.stderr.write(`cannot listen: ${reason}\n`)
    await service.close().catch(() => undefined)
    process.exit(1)
  }
  stopOnSignal(service)
  addProcessMetrics(service.metrics)
  log.info({ host, port }, 'listening')
}

/** Tries for a second: a restarted process may come before its predecessor's port is free. */
async function listen(app: FastifyInstance, host: string, port: number) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await app.listen({ host, port })
    } catch (error) {
      if (!isPortTaken(error) || attempt === 5) throw error
      await delay(250)
    }
  }
}

function stopOnSignal({ log, close }: Service) {
  let stopping = false
  const stop = async (reason: string) => {
    if (stopping) return
    stopping = true
    log.info({ reason }, 'stopping')
    setTimeout(() => {
      log.error('did not stop in time')
      process.exit(1)
    }, CLOSE_TIMEOUT_MS).unref()
    try {
      await close()
      process.exit(0)
    } catch (error) {
      log.error({ err: error }, 'did not stop cleanly')
      process.exit(1)
    }
  }
  process.once('SIGTERM', () => stop('SIGTERM'))
  process.once('SIGINT', () => stop('SIGINT'))
  process.once('disconnect', () => stop('the supervisor is gone'))
}

function isPortTaken(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
}
