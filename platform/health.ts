import { type FastifyInstance, fastify } from 'fastify'
import type { Log } from '#platform/log.ts'
import { type Metrics, observeRequests } from '#platform/metrics.ts'

/** Resolves when the service can do its work (its database answers); rejects when it can't. */
export type ReadyCheck = () => Promise<unknown>

const READY_TIMEOUT_MS = 3_000

/**
 * Adds `/health/live` (the process runs), `/health/ready` (it can work: 200, else 503) and `/metrics` (Prometheus).
 * Why it is not ready goes to the log: these pages need no caller, so they tell nothing.
 */
export function addHealthRoutes(app: FastifyInstance, { ready, metrics, log }: HealthOptions) {
  app.get('/health/live', async () => ({ status: 'live' }))
  app.get('/health/ready', async (_request, reply) => {
    try {
      await withinTime(ready(), READY_TIMEOUT_MS)
      return { status: 'ready' }
    } catch (error) {
      log.warn({ err: error }, 'not ready')
      return reply.code(503).send({ status: 'not ready' })
    }
  })
  app.get('/metrics', async (_request, reply) => {
    reply.header('content-type', metrics.registry.contentType)
    return metrics.registry.metrics()
  })
}

export type HealthOptions = { ready: ReadyCheck; metrics: Metrics; log: Log }

/** A server with the health pages only, for a process that answers nothing else (the worker). Not listening yet. */
export function buildHealthServer(options: HealthOptions): FastifyInstance {
  const app = fastify({ logger: false })
  observeRequests(app, options.metrics)
  addHealthRoutes(app, options)
  return app
}

async function withinTime(work: Promise<unknown>, milliseconds: number) {
  let timer: NodeJS.Timeout | undefined
  const tooLate = new Promise((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${milliseconds} ms`)), milliseconds)
  })
  await Promise.race([work, tooLate]).finally(() => clearTimeout(timer))
}
