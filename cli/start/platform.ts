import { TIERS } from '#platform/contracts/tiers.ts'
import { type DataDirLock, lockDataDir } from '#platform/local/dataDirLock.ts'
import { loadDevKey } from '#platform/local/devKey.ts'
import { hasOwnDatabase, localEnvironment } from '#platform/local/environment.ts'
import { type LocalPorts, readLocalSettings } from '#platform/local/settings.ts'
import { bundle, fromSource } from './bundle.ts'
import { type Cache, startCache } from './cache.ts'
import { type Databases, startDatabases } from './databases.ts'
import { seedOnFirstRun } from './demo.ts'
import { printFirstSteps } from './firstSteps.ts'
import { ensureGenerated } from './generated.ts'
import { checkPorts } from './ports.ts'
import { PROGRAMS, SERVICES, type ServiceName, serviceSpecs } from './processes.ts'
import { type Service, startService } from './service.ts'
import type { Terminal } from './terminal.ts'
import { watchCode } from './watch.ts'

export type PlatformOptions = {
  env: NodeJS.ProcessEnv
  /** Restart services when their code changes. */
  watch: boolean
  terminal: Terminal
  /** Called when something that everything needs has gone and could not be brought back. */
  onLost: (error: unknown) => void
}

/** Everything under one supervisor. `stop` may be called at any time, also before `ready`, and more than once. */
export type Platform = { ready: Promise<void>; stop(): Promise<void> }

/** What has been started so far. Promises, since `stop` may come while something is on its way up. */
type Parts = {
  lock?: Promise<DataDirLock>
  databases?: Promise<Databases>
  cache?: Promise<Cache>
  services: Map<ServiceName, Service>
  endWatch?: () => void
  stopping: boolean
}

/**
 * Starts databases, Redis, four subgraphs, worker, gateway, the door for mail and the sandbox, and on the first run the
 * demo data. Services load their modules while the databases are made, and each goes on as soon as its own is migrated.
 */
export function startPlatform(options: PlatformOptions): Platform {
  const parts: Parts = { services: new Map(), stopping: false }
  let stopped: Promise<void> | undefined
  return {
    ready: start(options, parts),
    stop() {
      stopped ??= stop(parts)
      return stopped
    },
  }
}

async function start({ env, watch, terminal, onLost }: PlatformOptions, parts: Parts): Promise<void> {
  const { dataDir, ports } = readLocalSettings(env)
  let up = false
  parts.lock = lockDataDir(dataDir)
  const lock = await parts.lock
  ensureGenerated(terminal.step)
  await checkPorts(ports, neededPorts(env))
  await loadDevKey(dataDir)
  const runnable = watch ? fromSource : await bundle(PROGRAMS)
  const surroundings = { dataDir, terminal, lock, runnable, isUp: () => up }

  if (parts.stopping) return
  parts.cache = startCache(surroundings, { port: ports.redis, givenUrl: env.REDIS_URL || undefined })
  const cache = await parts.cache
  if (parts.stopping) return
  const settings = localEnvironment(dataDir, ports, { ...env, ...(cache.url && { REDIS_URL: cache.url }) })
  for (const spec of serviceSpecs(ports, settings, env)) {
    parts.services.set(spec.name, startService(spec, surroundings))
  }
  parts.databases = startDatabases({ ...surroundings, port: ports.postgres, migrate: settings.migrate, env, onLost })
  await beginServices(parts.services, (await parts.databases).migrated, terminal)
  await seedOnFirstRun({ dataDir, env: settings.cli, terminal })
  up = true
  if (watch) parts.endWatch = watchCode((names) => restart(names, parts.services, terminal))
  await printFirstSteps({ dataDir, ports, env, terminal })
}

/** Each service as soon as what it needs is there; the gateway needs nothing. */
async function beginServices(
  services: Map<ServiceName, Service>,
  migrated: Databases['migrated'],
  terminal: Terminal,
): Promise<void> {
  const begin = async (name: ServiceName, needs: Promise<unknown>) => {
    await needs
    await services.get(name)?.begin()
  }
  const databases = Promise.all(Object.values(migrated)).then(() => terminal.step('databases are up to date'))
  const subgraphs = TIERS.map((tier) => begin(tier, migrated[tier]))
  await Promise.all([
    databases,
    ...subgraphs,
    begin('gateway', Promise.resolve()),
    begin('worker', migrated.queue),
    begin('smtpDoor', migrated.oltp),
    begin('sandbox', Promise.resolve()),
  ])
  terminal.step('four subgraphs, worker, gateway, the door for mail and a sandbox to send to')
}

function neededPorts(env: NodeJS.ProcessEnv): (keyof LocalPorts)[] {
  return [
    ...SERVICES,
    'smtp',
    'sandboxSmtp',
    ...(TIERS.every((tier) => hasOwnDatabase(tier, env)) ? [] : (['postgres'] as const)),
    ...(env.REDIS_URL ? [] : (['redis'] as const)),
  ]
}

function restart(names: ServiceName[], services: Map<ServiceName, Service>, terminal: Terminal): void {
  terminal.step(`restarting ${names.join(', ')}`)
  for (const name of names) services.get(name)?.restart()
}

/** In the order of who uses whom: nobody loses what it still needs. */
async function stop(parts: Parts): Promise<void> {
  parts.stopping = true
  const { lock, databases, cache, services, endWatch } = parts
  endWatch?.()
  const stopServices = (names: ServiceName[]) => Promise.all(names.map((name) => services.get(name)?.stop()))
  await stopServices(['sandbox'])
  await stopServices(['gateway'])
  await stopServices(['worker', 'smtpDoor'])
  await stopServices([...TIERS])
  await Promise.all([cache, databases].map((part) => part?.then((running) => running.stop()).catch(() => {})))
  await lock?.then((held) => held.release()).catch(() => {})
}
