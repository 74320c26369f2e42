import { inheritedEnvironment, type ProcessName, type ProcessSettings } from '#platform/local/environment.ts'
import { type LocalPorts, reachableHost } from '#platform/local/settings.ts'
import { GATE, type ServiceSpec } from './service.ts'

/** The services of a local platform: four subgraphs, the worker, the gateway, the door for mail, and the sandbox to send to. */
export type ServiceName = Exclude<ProcessName, 'cli' | 'migrate'>

/** Each service's program, and the part of it that can be loaded ahead. */
const FILES: Record<ServiceName, { entry: string; preload: string }> = {
  oltp: { entry: 'subgraphs/oltp/server.ts', preload: 'subgraphs/oltp/app.ts' },
  content: { entry: 'subgraphs/content/server.ts', preload: 'subgraphs/content/app.ts' },
  analytics: { entry: 'subgraphs/analytics/server.ts', preload: 'subgraphs/analytics/app.ts' },
  queue: { entry: 'subgraphs/queue/server.ts', preload: 'subgraphs/queue/app.ts' },
  worker: { entry: 'subgraphs/queue/worker.ts', preload: 'subgraphs/queue/workerApp.ts' },
  gateway: { entry: 'gateway/server.ts', preload: 'gateway/app.ts' },
  smtpDoor: { entry: 'subgraphs/oltp/smtpDoor.ts', preload: 'subgraphs/oltp/smtpDoor/app.ts' },
  sandbox: { entry: 'cli/sandbox/server.ts', preload: 'cli/sandbox/app.ts' },
}

export const SERVICES = Object.keys(FILES) as ServiceName[]

/** Every file a service process is started with. */
export const PROGRAMS = [GATE, ...Object.values(FILES).flatMap(({ entry, preload }) => [entry, preload])]

/** What to run for each service. */
export function serviceSpecs(
  ports: LocalPorts,
  settings: Record<ProcessName, ProcessSettings>,
  env: NodeJS.ProcessEnv,
): ServiceSpec[] {
  const inherited = inheritedEnvironment(env)
  return SERVICES.map((name) => ({
    name,
    ...FILES[name],
    env: { ...inherited, ...settings[name] },
    readyUrl: `http://${reachableHost(env)}:${ports[name]}/health/ready`,
  }))
}
