import { TIERS } from '#platform/contracts/tiers.ts'
import { inheritedEnvironment, type ProcessName, type ProcessSettings } from '#platform/local/environment.ts'
import { type LocalPorts, reachableHost } from '#platform/local/settings.ts'
import type { ServiceSpec } from './service.ts'

/** The services of a local platform: four subgraphs, the worker, the gateway. */
export type ServiceName = Exclude<ProcessName, 'cli' | 'migrate'>

/** What to run for each service. */
export function serviceSpecs(
  ports: LocalPorts,
  settings: Record<ProcessName, ProcessSettings>,
  env: NodeJS.ProcessEnv,
): Record<ServiceName, ServiceSpec> {
  const inherited = inheritedEnvironment(env)
  const spec = (name: ServiceName, entry: string, preload: string[]): ServiceSpec => ({
    name,
    entry,
    preload,
    env: { ...inherited, ...settings[name] },
    readyUrl: `http://${reachableHost(env)}:${ports[name]}/health/ready`,
  })
  const subgraphs = TIERS.map((tier) => [tier, spec(tier, `subgraphs/${tier}/server.ts`, [`subgraphs/${tier}/app.ts`])])
  return {
    ...(Object.fromEntries(subgraphs) as Record<(typeof TIERS)[number], ServiceSpec>),
    worker: spec('worker', 'subgraphs/queue/worker.ts', ['subgraphs/queue/workerApp.ts']),
    gateway: spec('gateway', 'gateway/server.ts', ['gateway/app.ts']),
  }
}
