import { report } from './alternate.ts'
import { measureBacklog } from './backlog.ts'
import { openBullMq } from './bullMq.ts'
import { BATCH, CONCURRENCY, type Contender, withContenders } from './contender.ts'
import { CALLERS, measureBatches, measureSingles } from './enqueueing.ts'
import { openGraphileWorker } from './graphileWorker.ts'
import { measureIdleLatency } from './idleLatency.ts'
import { type Ours, openOurs } from './ours.ts'
import { openPgBoss, type PgBossOptions } from './pgBoss.ts'
import { measureProcessing } from './processing.ts'
import { measureRateLimit } from './rateLimit.ts'
import type { Servers } from './servers.ts'
import { openSkipLocked } from './skipLocked.ts'
import { measureWorkerProcesses } from './workerProcesses.ts'

export type Settings = { rounds: number; jobs: number; batch: number; samples: number; backlog: number }
type Part = (servers: Servers, settings: Settings) => Promise<void>

const PEERS = ['graphile-worker', 'pg-boss', 'BullMQ', 'SKIP LOCKED']

/** What can be measured, by the name it has in `--parts`. */
export const PARTS: Readonly<Record<string, Part>> = {
  async process(servers, { rounds, jobs }) {
    const inBatches = openOursIn(servers, 'bench_ours_batches', { name: `ours, batches of ${BATCH}`, batchSize: BATCH })
    await withContenders([...openAll(servers), inBatches], async (contenders) => {
      const measured = await measureProcessing(contenders, rounds, jobs)
      const how = `${CONCURRENCY} at once where jobs run one by one, medians of ${rounds} rounds of ${jobs} jobs`
      report(`Processing, one worker, ${how}`, measured, PEERS)
    })
  },

  async single(servers, { rounds, jobs }) {
    // A commit each: a fifth of the jobs takes as long.
    const singles = Math.ceil(jobs / 5)
    await withContenders(openAll(servers), async (contenders) => {
      const measured = await measureSingles(contenders, rounds, singles)
      report(
        `Enqueueing one by one, ${CALLERS} callers, medians of ${rounds} rounds of ${singles} jobs`,
        measured,
        PEERS,
      )
    })
  },

  async bulk(servers, { rounds, jobs, batch }) {
    await withContenders(openAll(servers), async (contenders) => {
      const measured = await measureBatches(contenders, rounds, { jobs, batch })
      report(`Enqueueing in batches of ${batch}, medians of ${rounds} rounds of ${jobs} jobs`, measured, PEERS)
    })
  },

  async idle(servers, { samples }) {
    await withContenders([...openPeers(servers, { notify: true }), ...openBothOurs(servers)], async (contenders) => {
      const table = await measureIdleLatency(contenders, samples)
      console.log(`\nFrom enqueueing one job to its start, idle workers\n\n${table}`)
    })
  },

  async workers(servers, { rounds, jobs }) {
    const database = await servers.createQueueDatabase('bench_ours')
    const options = { name: 'ours', database }
    await withContenders([() => openOurs(options)], async ([ours]) => {
      const measured = await measureWorkerProcesses(ours as Ours, { rounds, jobs, counts: [1, 4], options })
      report(`Ours, worker processes, medians of ${rounds} rounds of ${jobs} jobs`, measured, ['1 worker'])
    })
  },

  async backlog(servers, { rounds, jobs, backlog: wanted }) {
    // A long one is longer than the one it is compared with.
    const backlog = Math.max(wanted, 4 * jobs)
    const opening = [openOursIn(servers, 'bench_ours'), openOursIn(servers, 'bench_ours_backlog')]
    await withContenders(opening, async ([short, long]) => {
      const measured = await measureBacklog({ short: short as Ours, long: long as Ours }, { rounds, jobs, backlog })
      report(`Ours, the first ${jobs} jobs of a backlog, medians of ${rounds} rounds`, measured, [
        `${2 * jobs} jobs wait`,
      ])
    })
  },

  async limited(servers, { rounds, jobs }) {
    await withContenders([openOursIn(servers, 'bench_ours')], async ([ours]) => {
      const measured = await measureRateLimit(ours as Ours, { rounds, jobs })
      report(`Ours, ${jobs} jobs of a tenant, medians of ${rounds} rounds`, measured, ['no limit'])
    })
  },
}

type Opening = () => Promise<Contender>

function openAll(servers: Servers): Opening[] {
  return [...openPeers(servers, { notify: false }), () => openSkipLocked(servers), ...openBothOurs(servers)]
}

/** Those that need a Redis only where there is one. */
function openPeers(servers: Servers, pgBoss: PgBossOptions): Opening[] {
  const { redisUrl } = servers
  return [
    () => openGraphileWorker(servers),
    () => openPgBoss(servers, pgBoss),
    ...(redisUrl ? [() => openBullMq(redisUrl)] : []),
  ]
}

function openBothOurs(servers: Servers): Opening[] {
  const { redisUrl } = servers
  return [
    openOursIn(servers, 'bench_ours'),
    ...(redisUrl ? [openOursIn(servers, 'bench_ours_redis', { name: 'ours, Redis', redisUrl })] : []),
  ]
}

function openOursIn(servers: Servers, database: string, options: Partial<Parameters<typeof openOurs>[0]> = {}) {
  return async () => openOurs({ name: 'ours', ...options, database: await servers.createQueueDatabase(database) })
}
