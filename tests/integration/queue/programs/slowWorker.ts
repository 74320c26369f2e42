// A worker process with room for two jobs at once, which take as many milliseconds as their text says, or until SIGUSR2.
// Tells which began.
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { openTierDatabase } from '#platform/database/tierDatabase.ts'
import { makeLog } from '#platform/log.ts'
import { PrismaClient } from '#prisma/queue'
import { JobRunner } from '../../../../subgraphs/queue/engine/jobRunner.ts'
import { makeWakeUp } from '../../../../subgraphs/queue/engine/wakeUp.ts'
import { task } from '../runner.ts'

const [url = '', systemUrl = '', leaseMs = ''] = process.argv.slice(2)
const log = makeLog('slow', 'silent')
const db = openTierDatabase({ url, systemUrl }, PrismaClient)
const work = task(
  async ([item]) => {
    process.stdout.write(`${item?.job.id}\n`)
    await Promise.race([sleep(Number(item?.payload.text)), once(process, 'SIGUSR2')])
    return undefined
  },
  { concurrency: 2 },
)
const wakeUp = makeWakeUp(undefined, log, db.systemSql)
const options = { pool: db.systemSql, services: {}, wakeUp, log, leaseMs: Number(leaseMs), pollMs: 20 }
new JobRunner({ ...options, tasks: [work] }).start()
