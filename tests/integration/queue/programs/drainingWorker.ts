// A worker process as the platform starts one, whose jobs take as many milliseconds as their text says, or until SIGUSR2
// where that is "told": tells what began and what ended, and drains on SIGTERM.
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { openTierDatabase } from '#platform/database/tierDatabase.ts'
import { buildHealthServer } from '#platform/health.ts'
import { makeLog } from '#platform/log.ts'
import { makeMetrics } from '#platform/metrics.ts'
import { serve } from '#platform/serve.ts'
import { PrismaClient } from '#prisma/queue'
import { JobRunner } from '../../../../subgraphs/queue/engine/jobRunner.ts'
import { makeWakeUp } from '../../../../subgraphs/queue/engine/wakeUp.ts'
import { task } from '../runner.ts'

const [url = '', systemUrl = '', drainMs = ''] = process.argv.slice(2)
const log = makeLog('draining', 'silent')
const metrics = makeMetrics('draining')
const db = openTierDatabase({ url, systemUrl }, PrismaClient)
const tell = (what: string, id: string | undefined) => process.stdout.write(`${what} ${id}\n`)
const work = task(
  async ([item]) => {
    tell('began', item?.job.id)
    const { text } = item?.payload ?? {}
    await (text === 'told' ? once(process, 'SIGUSR2') : sleep(Number(text)))
    tell('ended', item?.job.id)
    return undefined
  },
  { concurrency: 4 },
)
const wakeUp = makeWakeUp(undefined, log, db.systemSql)
const runner = new JobRunner({
  pool: db.systemSql,
  tasks: [work],
  services: {},
  wakeUp,
  log,
  leaseMs: 60_000,
  pollMs: 20,
})
process.once('SIGTERM', () => tell('told', 'to stop'))
runner.start()
const app = buildHealthServer({ ready: async () => {}, metrics, log })
const close = async () => {
  await runner.stop(Number(drainMs))
  wakeUp.close()
  await app.close()
  await db.close()
}
await serve({ app, log, metrics, close }, { host: '127.0.0.1', port: 0 })
