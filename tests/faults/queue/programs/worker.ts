// A worker that writes down what it does. Its task sleeps for as long as the job says; its clock can be made to jump.
import { setTimeout as sleep } from 'node:timers/promises'
import { openTierDatabase } from '#platform/database/tierDatabase.ts'
import { makeLog } from '#platform/log.ts'
import { PrismaClient } from '#prisma/queue'
import { PermanentFailure } from '../../../../subgraphs/queue/engine/failure.ts'
import { JobRunner } from '../../../../subgraphs/queue/engine/jobRunner.ts'
import type { ItemOutcome, Task, TaskItem } from '../../../../subgraphs/queue/engine/task.ts'
import { makeWakeUp } from '../../../../subgraphs/queue/engine/wakeUp.ts'
import { openRecords } from '../records.ts'
import { BATCH, type FaultPayload, faultPayload, SINGLE } from '../workload.ts'

export type WorkerSettings = {
  url: string
  systemUrl: string
  redisUrl: string
  leaseMs: number
  recordsFolder: string
}
/** What the parent says to a worker. Told to `tellWhenBusy`, it answers `busy` once it is in the midst of some work. */
export type WorkerOrder = { do: 'jumpClock'; byMs: number } | { do: 'tellWhenBusy' } | { do: 'stop' }
export type WorkerAnswer = 'started' | 'busy'

const DRAIN_MS = 8_000
const WATCH_MS = 50
/** Work that goes on for so long at least is still going on when something is done about it. */
const MIDST_MS = 100

const settings: WorkerSettings = JSON.parse(process.env.FAULT_WORKER ?? '{}')
// Records are compared between processes, so they keep the true time whatever the engine is made to believe.
const trueNow = Date.now.bind(Date)
const record = openRecords(settings.recordsFolder, process.pid)
watchForPauses()
let inMidst = 0
let isAskedWhenBusy = false

const log = makeLog('faults', 'silent')
const database = openTierDatabase({ url: settings.url, systemUrl: settings.systemUrl }, PrismaClient)
const wakeUp = makeWakeUp(settings.redisUrl, log)
const runner = new JobRunner<Record<string, never>>({
  pool: database.systemSql,
  tasks: [
    { ...SINGLE, payload: faultPayload, concurrency: 20, run },
    { ...BATCH, payload: faultPayload, concurrency: 4, batch: { size: 50, lingerMs: 5 }, run },
  ],
  services: {},
  wakeUp,
  log,
  leaseMs: settings.leaseMs,
  pollMs: 100,
  onSettled: (_job, { settlement, as }) => {
    const { id, leaseId } = settlement.job
    record({ what: 'settled', at: trueNow(), job: { id, leaseId }, as })
  },
})

process.on('message', (order: WorkerOrder) => {
  if (order.do === 'jumpClock') jumpClock(order.byMs)
  else if (order.do === 'stop') void leave()
  else {
    isAskedWhenBusy = true
    tellIfBusy()
  }
})
// Nobody is left to be of use to.
process.once('disconnect', () => process.exit(1))
runner.start()
answer('started')

/** Deaf to its signal on purpose: a task that goes on after its lease is lost is the worst there is. */
async function run(items: Parameters<Task<unknown, FaultPayload>['run']>[0]): Promise<ItemOutcome[]> {
  const held = items.map(({ job: { id, leaseId } }) => ({ id, leaseId }))
  record({ what: 'started', at: trueNow(), jobs: held })
  await work(Math.max(...items.map(({ payload }) => payload.workMs)))
  const outcomes = items.map(outcomeOf)
  record({
    what: 'ended',
    at: trueNow(),
    jobs: held.map((job, position) => ({ ...job, failed: outcomes[position]?.kind === 'failed' })),
  })
  return outcomes
}

async function work(forMs: number): Promise<void> {
  const isLong = forMs > MIDST_MS
  if (isLong) inMidst += 1
  tellIfBusy()
  await sleep(forMs)
  if (isLong) inMidst -= 1
}

function tellIfBusy(): void {
  if (!isAskedWhenBusy || inMidst === 0) return
  isAskedWhenBusy = false
  answer('busy')
}

function answer(word: WorkerAnswer): void {
  process.send?.(word)
}

function outcomeOf({ job, payload: { fate } }: TaskItem<FaultPayload>): ItemOutcome {
  if (fate === 'doomed') return { kind: 'failed', error: new PermanentFailure('doomed') }
  if (fate === 'flaky' && job.attempt === 1) return { kind: 'failed', error: new Error('not this time') }
  return { kind: 'completed' }
}

async function leave(): Promise<void> {
  await runner.stop(DRAIN_MS)
  wakeUp.close()
  await database.close()
  process.exit(0)
}

/** From now on this process believes in another time: as after an operator's hand or a time server's correction. */
function jumpClock(byMs: number): void {
  const TrueDate = Date
  const now = () => trueNow() + byMs
  globalThis.Date = new Proxy(TrueDate, {
    construct: (target, values, newTarget) =>
      Reflect.construct(target, values.length > 0 ? values : [now()], newTarget),
    get: (target, name, receiver) => (name === 'now' ? now : Reflect.get(target, name, receiver)),
  })
}

/** Notes when this process stood still for so long that it must have missed a heartbeat: stopped, or starved of CPU. */
function watchForPauses(): void {
  let lastAt = trueNow()
  setInterval(() => {
    const at = trueNow()
    if (at - lastAt > WATCH_MS + settings.leaseMs / 3) record({ what: 'paused', from: lastAt, to: at })
    lastAt = at
  }, WATCH_MS)
}
