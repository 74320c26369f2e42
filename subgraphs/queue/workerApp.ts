import { openTierDatabase } from '#platform/database/tierDatabase.ts'
import { makeServiceClient } from '#platform/graph/serviceClient.ts'
import { buildHealthServer } from '#platform/health.ts'
import { Hints } from '#platform/live/hints.ts'
import { type Log, makeLog } from '#platform/log.ts'
import { makeMetrics } from '#platform/metrics.ts'
import { openVault } from '#platform/vault.ts'
import { PrismaClient } from '#prisma/queue'
import type { WorkerConfig } from './config.ts'
import { JobRunner } from './engine/jobRunner.ts'
import { makeWakeUp } from './engine/wakeUp.ts'
import { MailboxReader } from './imap/mailboxReader.ts'
import { makeFindServer } from './mailServerPlace.ts'
import { startMonitoring } from './monitoring.ts'
import { addQueueMetrics } from './queueMetrics.ts'
import { startScheduler } from './scheduler.ts'
import { MailSender } from './sending/mailSender.ts'
import type { PlatformTask } from './tasks/services.ts'
import { tasks as allTasks } from './tasks/tasks.ts'
import { startWatermark } from './watermark.ts'
import { addWorkerMetrics } from './workerMetrics.ts'

export type WorkerOptions = { log?: Log; tasks?: readonly PlatformTask[] }

/**
 * The fourth tier's second door: a worker that is at work, with a server for its health and its numbers that does not
 * listen yet. `close` drains it: nothing is started any more, what runs may finish until the deadline of the settings.
 */
export function buildWorker(config: WorkerConfig, options: WorkerOptions = {}) {
  const { log = makeLog('worker', config.logLevel), tasks = allTasks } = options
  const db = openTierDatabase(config.database, PrismaClient)
  const wakeUp = makeWakeUp(config.redisUrl, log, db.systemSql)
  const metrics = makeMetrics('worker')
  const { oltp, content, analytics } = config.asks
  const oltpClient = makeServiceClient(oltp)
  const vault = openVault(config.vault)
  const findServer = makeFindServer(config.mailServers)
  const mail = new MailSender({ oltp: oltpClient, vault, log, findServer, timeouts: config.smtpTimeouts })
  const services = {
    oltp: oltpClient,
    content: makeServiceClient(content),
    analytics: makeServiceClient(analytics),
    queue: { pool: db.systemSql, announce: wakeUp.announce },
    mail,
    mailboxes: new MailboxReader({ vault, findServer }),
  }
  const onSettled = addWorkerMetrics(metrics, () => runner.held)
  const { leaseMs, pollMs } = config
  const hints = new Hints({ tier: 'queue', pool: db.systemSql, redisUrl: config.redisUrl, log })
  const onChanged = (tenantId: string) => hints.tell(tenantId)
  const runner = new JobRunner({
    ...{ pool: db.systemSql, tasks, services, wakeUp, log, leaseMs, pollMs },
    onSettled,
    onChanged,
  })
  const watermark = startWatermark({ sql: db.systemSql, oltp: services.oltp, analytics: services.analytics, log })
  const scheduler = startScheduler({ pool: db.systemSql, wakeUp, log })
  const monitoring = startMonitoring({ pool: db.systemSql, log })
  addQueueMetrics(metrics.registry, db.systemSql)
  runner.start()
  const app = buildHealthServer({ ready: () => db.systemSql.query('SELECT 1'), metrics, log })
  const close = async () => {
    scheduler.stop()
    monitoring.stop()
    await runner.stop(config.drainMs)
    mail.close()
    await watermark.stop()
    wakeUp.close()
    hints.close()
    await app.close()
    await db.close()
  }
  return { app, log, metrics, close, runner, db }
}
