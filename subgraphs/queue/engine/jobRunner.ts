import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type pg from 'pg'
import type { Log } from '#platform/log.ts'
import { Attempts, Stopped } from './attempts.ts'
import { BeginMarks } from './beginMarks.ts'
import { Chores } from './chores.ts'
import type { Claim } from './claim.ts'
import { ClaimLoop } from './claimLoop.ts'
import { HeldJobs } from './heldJobs.ts'
import type { ClaimedJob, HeldJob } from './job.ts'
import { LeaseKeeper } from './leaseKeeper.ts'
import { expireJobs, keepHouse } from './maintenance.ts'
import { findCancelled, ProgressBoard } from './progress.ts'
import { QueueLine } from './queueLine.ts'
import { Reaper } from './reaper.ts'
import { leaveRegistry, type WorkerIdentity } from './registry.ts'
import { runBatch, settleFailure } from './runBatch.ts'
import { type Settled, Settler } from './settler.ts'
import type { AnyTask, TaskItem } from './task.ts'
import { TaskLines } from './taskLines.ts'
import type { WakeUp } from './wakeUp.ts'

export type JobRunnerOptions<Services> = {
  /** Pool of the system role: a worker serves all tenants. */
  pool: pg.Pool
  /** What the worker can do. It serves the queues these belong to. */
  tasks: readonly AnyTask<Services>[]
  services: Services
  wakeUp: WakeUp
  log: Log
  /** How long a dead worker's jobs stay with it; heartbeats come three times as often. */
  leaseMs?: number
  /** How long an idle worker waits when nobody wakes it. */
  pollMs?: number
  onSettled?: (job: ClaimedJob, settled: Settled) => void
  /** A tenant's jobs were claimed, have reported progress, or have ended. */
  onChanged?: (tenantId: string) => void
}

const LOOK_AROUND_EVERY_MS = 1_000
/** What has waited in a worker from one look to the next costs no attempt should the worker die. */
const MARK_EVERY_MS = 250
const EXPIRE_EVERY_MS = 10_000
const KEEP_HOUSE_EVERY_MS = 600_000

/** One worker's machine: claims jobs of its queues, runs their tasks in batches, writes the outcomes, keeps its leases. */
export class JobRunner<Services> {
  readonly worker: WorkerIdentity
  readonly #options: JobRunnerOptions<Services>
  readonly #lines: TaskLines<Services>
  readonly #queues: ReadonlyMap<string, QueueLine>
  readonly #held: HeldJobs
  readonly #marks: BeginMarks
  readonly #leases: LeaseKeeper
  readonly #settler: Settler
  readonly #reaper: Reaper
  readonly #attempts: Attempts<Services>
  readonly #progress = new ProgressBoard()
  readonly #chores: Chores
  readonly #claims: ClaimLoop
  readonly #counts = { processed: 0, failed: 0 }
  #cancelled: ReadonlySet<string> = new Set()
  readonly #isCancelled = (jobId: string) => this.#cancelled.has(jobId)
  #stopListening = () => {}

  constructor(options: JobRunnerOptions<Services>) {
    const { pool, tasks, log, leaseMs = 30_000, pollMs = 250 } = options
    this.#options = options
    this.#lines = new TaskLines(tasks, {
      isTrusted: (leaseId) => this.#leases.isTrusted(leaseId),
      isLost: (leaseId) => this.#leases.isLost(leaseId),
      mayBegin: (jobs) => this.#marks.mayBegin(jobs),
      onLost: (jobs) => {
        for (const job of jobs) this.#drop(job)
      },
      runBatch: (task, items) => this.#runBatch(task, items),
    })
    const queues = this.#lines.queueNames
    this.#queues = new Map(queues.map((name) => [name, new QueueLine(name, this.#lines.capacityOf(name))]))
    this.#held = new HeldJobs(this.#queues)
    this.#marks = new BeginMarks({ sql: pool, log, onFreed: () => this.#lines.pump() })
    this.worker = { id: randomUUID(), host: hostname(), pid: process.pid, queues }
    this.#claims = new ClaimLoop({
      ...{ pool, log, leaseMs, pollMs, worker: this.worker, queues: this.#queues },
      onClaimed: (claim, claimedAt) => this.#take(claim, claimedAt),
    })
    this.#leases = new LeaseKeeper({
      pool,
      worker: this.worker,
      leaseMs,
      counts: () => ({ ...this.#counts, running: this.#held.size }),
      onBeat: () => this.#lines.pump(),
      onLost: () => this.#attempts.endLost((leaseId) => this.#leases.isLost(leaseId)),
      log,
    })
    this.#settler = new Settler({
      pool,
      log,
      isLast: (leaseId, jobs) => this.#leases.isLast(leaseId, jobs),
      onSettled: (settled) => this.#forget(settled),
    })
    this.#attempts = new Attempts({
      services: options.services,
      log,
      report: (job, percentage, message) => {
        if (this.#held.holds(job)) this.#progress.report(job, percentage, message)
      },
    })
    this.#chores = new Chores(log)
    this.#reaper = new Reaper(pool, this.#leases.heartbeatMs)
  }

  /** Jobs claimed and not settled yet. */
  get held(): number {
    return this.#held.size
  }

  /** Registers and begins. Waits for the database as long as it takes. */
  start(): void {
    const { pool, wakeUp } = this.#options
    this.#stopListening = wakeUp.listen(this.worker.queues, (queueName) => this.#claims.wakeQueue(queueName))
    this.#leases.start()
    this.#claims.start()
    this.#chores.every(Math.min(LOOK_AROUND_EVERY_MS, this.#leases.heartbeatMs), async () => {
      const readyQueues = await this.#reaper.look()
      wakeUp.announce(readyQueues)
      for (const name of readyQueues) this.#claims.wakeQueue(name)
    })
    this.#chores.every(MARK_EVERY_MS, async () => this.#marks.look(this.#lines.waiting))
    this.#chores.every(LOOK_AROUND_EVERY_MS, () => this.#stopCancelled())
    this.#chores.every(LOOK_AROUND_EVERY_MS, async () => {
      for (const tenantId of await this.#progress.write(pool)) this.#options.onChanged?.(tenantId)
    })
    this.#chores.every(EXPIRE_EVERY_MS, () => expireJobs(pool))
    this.#chores.every(KEEP_HOUSE_EVERY_MS, () => keepHouse(pool))
  }

  /** There may be something to do, in any queue. */
  wake(): void {
    this.#claims.wakeAll()
  }

  /**
   * Starts nothing more, gives back what has not begun, and waits for what runs. After `deadlineMs` that is aborted
   * and given back too, its attempt not counted.
   */
  async stop(deadlineMs: number): Promise<void> {
    this.#stopListening()
    this.#chores.stop()
    const { ended } = this.#claims.stop()
    this.#marks.close()
    this.#giveBack(this.#lines.close())
    await ended
    // What a claim brought that was under way.
    this.#giveBack(this.#lines.close())
    const timer = setTimeout(() => this.#attempts.stopAll(new Stopped('worker', 'the worker stops')), deadlineMs)
    await this.#lines.idle()
    clearTimeout(timer)
    this.#attempts.close()
    await this.#settler.finish({ giveUp: true })
    await this.#leases.stop()
    await leaveRegistry(this.#options.pool, this.worker.id).catch(() => undefined)
  }

  #take(claim: Claim, claimedAt: number): void {
    this.#leases.add(claim, claimedAt)
    this.#held.add(claim.jobs)
    for (const job of claim.jobs) this.#accept(job)
    for (const job of claim.jobs) this.#options.onChanged?.(job.tenantId)
    this.#lines.pump()
  }

  #accept(job: ClaimedJob): void {
    try {
      this.#lines.add(job)
    } catch (error) {
      this.#settler.add([settleFailure(job, error, { durationMs: 0, isAlone: true, log: this.#options.log })])
    }
  }

  #giveBack(jobs: readonly ClaimedJob[]): void {
    this.#settler.add(
      jobs.map(({ id, leaseId, position }) => ({ kind: 'postponed', job: { id, leaseId, position, delayMs: 0 } })),
    )
  }

  async #runBatch(task: AnyTask<Services>, items: TaskItem<unknown>[]): Promise<void> {
    const settlements = await runBatch(task, items, {
      log: this.#options.log,
      attempts: this.#attempts,
      isCancelled: this.#isCancelled,
    })
    const queue = this.#queues.get(task.queueName)
    this.#held.ended(
      queue,
      items.map(({ job }) => job),
    )
    if (queue) this.#claims.wakeFor(queue)
    this.#settler.add(settlements)
  }

  async #forget(settled: Settled[]): Promise<void> {
    for (const one of settled) {
      const job = this.#drop(one.settlement.job)
      if (one.as === 'completed') this.#counts.processed += 1
      if (one.as === 'retried' || one.as === 'dead') this.#counts.failed += 1
      if (job) this.#options.onSettled?.(job, one)
      if (job) this.#options.onChanged?.(job.tenantId)
    }
    await this.#leases.settle(settled.map(({ settlement }) => settlement.job.leaseId))
    this.#claims.wake()
  }

  #drop(held: HeldJob): ClaimedJob | undefined {
    const job = this.#held.drop(held)
    if (job) this.#progress.forget(job.id)
    return job
  }

  async #stopCancelled(): Promise<void> {
    const ids = await findCancelled(this.#options.pool)
    this.#cancelled = new Set(ids)
    for (const id of ids) {
      const job = this.#held.find(id)
      const waiting = job && this.#lines.remove(job)
      if (waiting) {
        const { leaseId, position, waitMs } = waiting
        const cancelled = { id, leaseId, position, waitMs, durationMs: 0 }
        this.#settler.add([{ kind: 'cancelled', job: cancelled }])
      } else if (job) this.#attempts.endJob(id)
    }
  }
}
