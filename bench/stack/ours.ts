import { makeDevToken } from '#platform/caller/developmentToken.ts'
import { DEMO_OWNERS, DEMO_TENANTS } from '#platform/contracts/demo.ts'
import { TIERS, type Tier } from '#platform/contracts/tiers.ts'
import { type DataDirLock, lockDataDir } from '#platform/local/dataDirLock.ts'
import { loadDevKey } from '#platform/local/devKey.ts'
import { localEnvironment } from '#platform/local/environment.ts'
import { readLocalSettings } from '#platform/local/settings.ts'
import { bundle } from '../../cli/start/bundle.ts'
import { type Databases, startDatabases } from '../../cli/start/databases.ts'
import { PROGRAMS, serviceSpecs } from '../../cli/start/processes.ts'
import { type Service, type ServiceSpec, startService } from '../../cli/start/service.ts'
import type { Terminal } from '../../cli/start/terminal.ts'
import { makeStartFolder } from '../../tests/support/localPlatform.ts'
import type { Stack } from './rounds.ts'

const TOKEN_SECONDS = 12 * 3600

/** Whatever a user has set for a platform of his own, databases above all, is not for this one. */
const OWN_SETTINGS = /_URL$|^RESPONSE_CACHE$|^DEDUPLICATE_QUERIES$/

/** As containers run it, but for limits that a bench would meet at once. Nobody answers for DNS: no domain is real. */
const SETTINGS = {
  NODE_ENV: 'production',
  LOG_LEVEL: 'warn',
  OPERATIONS: 'any',
  RATE_LIMIT_PER_TENANT: '1000000000',
  RATE_LIMIT_PER_ADDRESS: '1000000000',
  DNS_SERVERS: '127.0.0.1:9',
}

export type OurStack = Awaited<ReturnType<typeof startOurs>>

/**
 * Our gateway, four tiers and the worker, each a process of its own as `npm start` runs them, on a PostgreSQL in a
 * temporary folder; `atEnd` is told at once how to stop all that. No Redis, no door for mail, no sandbox: no operation needs them.
 */
export async function startOurs(atEnd: (stop: () => Promise<void>) => void) {
  const folder = await makeStartFolder()
  const surroundings = Object.entries(folder.env).filter(([name]) => !OWN_SETTINGS.test(name))
  const env = { ...Object.fromEntries(surroundings), ...SETTINGS }
  const { dataDir, ports } = readLocalSettings(env)
  const services = new Map<string, Service>()
  // Promises, since `stop` may come while something is on its way up.
  let databases: Promise<Databases> | undefined
  let lock: Promise<DataDirLock> | undefined
  let isUp = false
  let isOver = false
  atEnd(async () => {
    isOver = true
    isUp = false
    // In the order of who uses whom.
    for (const names of [['gateway'], ['worker'], TIERS]) {
      await Promise.all(names.map((name) => services.get(name)?.stop()))
    }
    await databases?.then((running) => running.stop())
    await lock?.then((held) => held.release())
    folder.remove()
  })
  lock = lockDataDir(dataDir)
  const pids = new Map<string, number>()
  const { privateKey, jwksFile } = await loadDevKey(dataDir)
  const settings = localEnvironment(dataDir, ports, env)
  const around = {
    dataDir,
    terminal: QUIET,
    lock: noteProcesses(await lock, pids),
    runnable: await bundle(PROGRAMS),
    isUp: () => isUp,
  }
  databases = startDatabases({ ...around, port: ports.postgres, migrate: settings.migrate, env, onLost })
  await Promise.all(Object.values((await databases).migrated))
  if (isOver) throw new Error('stopped while it was starting')
  const specs = serviceSpecs(ports, settings, env).filter(({ name }) => name !== 'smtpDoor' && name !== 'sandbox')
  const start = (spec: ServiceSpec) => services.set(spec.name, startService(spec, around))
  specs.forEach(start)
  await Promise.all([...services.values()].map((service) => service.begin()))
  isUp = true
  const pidOf = (name: string) => pids.get(name) as number
  const urlsOf = (infix: string, from: Record<string, string>) => (tier: Tier) =>
    from[`${tier.toUpperCase()}_${infix}DATABASE_URL`] as string
  const { id: userId } = DEMO_OWNERS.demo
  const owner = { kind: 'user', tenantId: DEMO_TENANTS.demo, userId, roles: ['owner'] } as const
  const stack: Stack = {
    name: 'ours',
    url: `http://127.0.0.1:${ports.gateway}/graphql`,
    gatewayPid: pidOf('gateway'),
    tierPids: TIERS.map(pidOf),
  }
  return {
    ...stack,
    postgresPid: pidOf('postgres'),
    token: await makeDevToken(privateKey, owner, { ttlSeconds: TOKEN_SECONDS }),
    jwksFile,
    /** What the development tools may use. */
    cli: settings.cli,
    contentMasterKey: settings.content.CONTENT_MASTER_KEY ?? '',
    databaseUrl: (tier: Tier) => urlsOf('', settings[tier])(tier),
    systemUrl: (tier: Tier) => urlsOf('SYSTEM_', settings[tier])(tier),
    ownerUrl: (tier: Tier) => urlsOf('OWNER_', settings.migrate)(tier),
    /** Ends a service between any two instructions, and leaves it dead. */
    async kill(name: string) {
      isUp = false
      process.kill(pidOf(name), 'SIGKILL')
      await services.get(name)?.stop()
    },
    /** Starts one that was killed, until it is ready. */
    async revive(name: string) {
      const spec = specs.find((one) => one.name === name)
      if (!spec) throw new Error(`there is no service ${name}`)
      start(spec)
      await services.get(name)?.begin()
    },
    /** Ends the worker: what it would go on counting would differ from one answer to the next. */
    async stopWorker() {
      // That there is none is what the queue would warn of from now on.
      isUp = false
      await services.get('worker')?.stop()
    },
  }
}

/** Of the steps of a start, only what goes wrong is worth a line here. */
const QUIET: Terminal = {
  step: () => {},
  progress: () => {},
  warn: (message) => console.error(message),
  print: () => {},
}

function onLost(error: unknown): void {
  console.error('PostgreSQL has gone:', error)
}

/** A lock that also tells us who was started. */
function noteProcesses(lock: DataDirLock, pids: Map<string, number>): DataDirLock {
  return {
    ...lock,
    track(name, pid) {
      pids.set(name, pid)
      lock.track(name, pid)
    },
  }
}
