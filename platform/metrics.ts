import type { FastifyInstance } from 'fastify'
import { collectDefaultMetrics, Histogram, Registry } from 'prom-client'

export type Metrics = { registry: Registry; requests: Histogram<'method' | 'route' | 'status'> }

/** The numbers one process shows at /metrics, each labelled with its service. */
export function makeMetrics(service: string): Metrics {
  const registry = new Registry()
  registry.setDefaultLabels({ service })
  const requests = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Time from the request to its whole answer',
    labelNames: ['method', 'route', 'status'] as const,
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers: [registry],
  })
  return { registry, requests }
}

/** Adds the process's own numbers (memory, CPU, event loop); once per process, since they are process-wide. */
export function addProcessMetrics({ registry }: Metrics) {
  collectDefaultMetrics({ register: registry })
}

/** Observes every answer of a server. Routes are named by pattern: labels stay few. */
export function observeRequests(app: FastifyInstance, { requests }: Metrics) {
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'unknown'
    requests.observe({ method: request.method, route, status: reply.statusCode }, reply.elapsedTime / 1000)
  })
}
