// A worker that never finishes: says which job it began, then waits to be killed.
import { openTierDatabase } from '#platform/database/tierDatabase.ts'
import { makeLog } from '#platform/log.ts'
import { PrismaClient } from '#prisma/queue'
import { JobRunner } from '../../../../subgraphs/queue/engine/jobRunner.ts'
import { makeWakeUp } from '../../../../subgraphs/queue/engine/wakeUp.ts'
import { task } from '../runner.ts'

const [url = '', systemUrl = '', leaseMs = ''] = process.argv.slice(2)
const log = makeLog('hanging', 'silent')
const hang = task(async ([item]) => {
  process.stdout.write(`${item?.job.id}\n`)
  return new Promise(() => {})
})
new JobRunner({
  pool: openTierDatabase({ url, systemUrl }, PrismaClient).systemSql,
  tasks: [hang],
  services: {},
  wakeUp: makeWakeUp(undefined, log),
  log,
  leaseMs: Number(leaseMs),
}).start()
