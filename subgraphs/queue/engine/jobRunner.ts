import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type pg from 'pg'
import type { Log } from '#platform/log.ts'
import { Attempts, Stopped } from './attempts.ts'
import { Chores } from './chores.ts'
import { claimJobs, findQueuesWithWork } from './claim.ts'
import { PermanentFailure } from './failure.ts'
import type { ClaimedJob, HeldJob } from './job.ts'
import { describeProblem } from './jobRequest.ts'
import { LeaseKeeper } from './leaseKeeper.ts'
import { expireJobs, keepHouse } from './maintenance.ts'
import { Pause } from './pause.ts'
import { findCancelled, ProgressBoard } from './progress.ts'
import { QueueLine } from './queueLine.ts'
import { Reaper } from './reaper.ts'
import { leaveRegistry, registerWorker, type WorkerIdentity } from './registry.ts'
import { runBatch, settleFailure } from './runBatch.ts'
import { type Settled, Settler } from './settler.ts'
import type { AnyTask, TaskItem } from './task.ts'
import { TaskLine } from './taskLine.ts'
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
}

const LONGEST_PAUSE_MS = 5_000
const LOOK_AROUND_EVERY_MS = 1_000
const EXPIRE_EVERY_MS = 10_000
const KEEP_HOUSE_EVERY_MS = 600_000

/** One worker's machine: claims jobs of its queues, runs their tasks in batches, writes the outcomes, keeps its leases. */
export class JobRunner<Services> {
  readonly worker: WorkerIdentity
  readonly #options: JobRunnerOptions<Services>
  readonly #pollMs: number
  readonly #leaseMs: number
  readonly #tasks: ReadonlyMap<string, { task: AnyTask<Services>; line: TaskLine<Services> }>
  readonly #queues: ReadonlyMap<string, QueueLine>
  readonly #held = new Map<string, ClaimedJob>()
  /** Those that have been run and wait for their outcome to be written. */
  readonly #ended = new Set<ClaimedJob>()
  readonly #leases: LeaseKeeper
  readonly #settler: Settler
  readonly #reaper: Reaper
  readonly #attempts: Attempts<Services>
  readonly #progress = new ProgressBoard()
  readonly #chores: Chores
  readonly #pause = new Pause()
  readonly #counts = { processed: 0, failed: 0 }
  #cancelled: ReadonlySet<string> = new Set()
  readonly #isCancelled = (jobId: string) => this.#cancelled.has(jobId)
  #isStopping = false
  #stopListening = () => {}
  #loop: Promise<void> | undefined

  constructor(options: JobRunnerOptions<Services>) {
    const { pool, tasks, log, leaseMs = 30_000, pollMs = 250 } = options
    this.#options = options
    this.#leaseMs = leaseMs
    this.#pollMs = pollMs
    this.#tasks = new Map(tasks.map((task) => [task.jobType, { task, line: this.#makeLine(task) }]))
    const queues = [...new Set(tasks.map(({ queueName }) => queueName))]
    this.#queues = new Map(queues.map((name) => [name, new QueueLine(name, this.#capacityOf(name))]))
    this.worker = { id: randomUUID(), host: hostname(), pid: process.pid, queues }
    this.#leases = new LeaseKeeper({
      pool,
      worker: this.worker,
      leaseMs,
      counts: () => ({ ...this.#counts, running: this.#held.size }),
      onBeat: () => this.#pumpAll(),
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
      report: (job, percentage, message) => this.#progress.report(job, percentage, message),
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
    this.#stopListening = wakeUp.listen(this.worker.queues, (queueName) => this.#wakeQueue(queueName))
    this.#leases.start()
    this.#loop = this.#run()
    this.#chores.every(Math.min(LOOK_AROUND_EVERY_MS, this.#leases.heartbeatMs), async () => {
      const readyQueues = await this.#reaper.look()
      wakeUp.announce(readyQueues)
      for (const name of readyQueues) this.#wakeQueue(name)
    })
    this.#chores.every(LOOK_AROUND_EVERY_MS, () => this.#stopCancelled())
    this.#chores.every(LOOK_AROUND_EVERY_MS, () => this.#progress.write(pool))
    this.#chores.every(EXPIRE_EVERY_MS, () => expireJobs(pool))
    this.#chores.every(KEEP_HOUSE_EVERY_MS, () => keepHouse(pool))
  }

  /** There may be something to do, in any queue. */
  wake(): void {
    for (const queue of this.#queues.values()) queue.isWoken = true
    this.#pause.wake()
  }

  /**
   * Starts nothing more, gives back what has not begun, and waits for what runs. After `deadlineMs` that is aborted
   * and given back too, its attempt not counted.
   */
  async stop(deadlineMs: number): Promise<void> {
    this.#isStopping = true
    this.#stopListening()
    this.#chores.stop()
    this.#pause.wake()
    const lines = [...this.#tasks.values()].map(({ line }) => line)
    this.#giveBack(lines.flatMap((line) => line.close()))
    await this.#loop
    // What a claim brought that was under way.
    this.#giveBack(lines.flatMap((line) => line.close()))
    const timer = setTimeout(() => this.#attempts.stopAll(new Stopped('worker', 'the worker stops')), deadlineMs)
    await Promise.all(lines.map((line) => line.idle()))
    clearTimeout(timer)
    this.#attempts.close()
    await this.#settler.finish({ giveUp: true })
    await this.#leases.stop()
    await leaveRegistry(this.#options.pool, this.worker.id).catch(() => undefined)
  }

  async #run(): Promise<void> {
    const { pool, log } = this.#options
    let failures = 0
    let isRegistered = false
    while (!this.#isStopping) {
      this.#pause.rearm()
      try {
        if (!isRegistered) await registerWorker(pool, this.worker)
        isRegistered = true
        const claimed = await this.#claimWhatFits()
        if (failures > 0) log.info({ failures }, 'the worker finds its jobs again')
        failures = 0
        if (claimed > 0 || this.#isStopping) continue
        const isWoken = await this.#pause.wait(this.#pollMs)
        if (!isWoken) await this.#lookForWork()
      } catch (error) {
        if (failures === 0) log.warn({ err: error }, 'the worker cannot claim jobs')
        failures += 1
        // Settled jobs wake the worker; that is no reason to ask a database that is away.
        if (!this.#isStopping) this.#pause.rearm()
        await this.#pause.wait(Math.min(LONGEST_PAUSE_MS, this.#pollMs * 2 ** failures))
        for (const queue of this.#queues.values()) queue.isWoken = true
      }
    }
  }

  /** Claims from the queues that were said to have work. */
  async #claimWhatFits(): Promise<number> {
    let claimed = 0
    for (const queue of this.#queues.values()) {
      if (!queue.isWoken || queue.room === 0 || this.#isStopping) continue
      queue.isWoken = false
      claimed += await this.#claimFrom(queue)
    }
    return claimed
  }

  /** A queue that gave all it was asked for may have more; another says so when it does. */
  async #claimFrom(queue: QueueLine): Promise<number> {
    const limit = queue.room
    const claimedAt = performance.now()
    const claim = await claimJobs(this.#options.pool, {
      workerId: this.worker.id,
      queueName: queue.name,
      limit,
      leaseMs: this.#leaseMs,
      afterTenant: queue.afterTenant,
      ...queue.takeTurn(),
    })
    if (!claim) return 0
    const { length } = claim.jobs
    queue.isWoken ||= length === limit
    queue.claimed(claim, performance.now() - claimedAt)
    this.#leases.add(claim, claimedAt)
    for (const job of claim.jobs) {
      // Held still under a lease that was lost meanwhile: whoever settles that one no longer finds it.
      const earlier = this.#held.get(job.id)
      if (earlier) queue.settled(earlier, this.#ended.delete(earlier))
      this.#held.set(job.id, job)
    }
    for (const job of claim.jobs) this.#accept(job)
    this.#pumpAll()
    return length
  }

  /** What nobody announced: retries and delayed jobs whose time has come, wake-ups that were lost. */
  async #lookForWork(): Promise<void> {
    const hungry = [...this.#queues.values()].filter(({ room }) => room > 0).map(({ name }) => name)
    for (const name of await findQueuesWithWork(this.#options.pool, hungry)) {
      const queue = this.#queues.get(name)
      if (queue) queue.isWoken = true
    }
  }

  #wakeQueue(queueName: string): void {
    const queue = this.#queues.get(queueName)
    if (!queue) return
    queue.isWoken = true
    if (queue.room > 0) this.#pause.wake()
  }

  #accept(job: ClaimedJob): void {
    const known = this.#tasks.get(job.jobType)
    if (!known || known.task.queueName !== job.queueName) {
      this.#reject(job, new PermanentFailure(`no task runs ${job.jobType} jobs of the queue ${job.queueName}`))
      return
    }
    const payload = known.task.payload.safeParse(job.payload)
    if (payload.success) known.line.add({ job, payload: payload.data })
    else this.#reject(job, new PermanentFailure(`the payload does not parse: ${describeProblem(payload.error)}`))
  }

  #reject(job: ClaimedJob, error: PermanentFailure): void {
    this.#settler.add([settleFailure(job, error, { durationMs: 0, isAlone: true, log: this.#options.log })])
  }

  #giveBack(jobs: readonly ClaimedJob[]): void {
    this.#settler.add(
      jobs.map(({ id, leaseId, position }) => ({ kind: 'postponed', job: { id, leaseId, position, delayMs: 0 } })),
    )
  }

  #makeLine(task: AnyTask<Services>): TaskLine<Services> {
    return new TaskLine({
      task,
      isTrusted: (leaseId) => this.#leases.isTrusted(leaseId),
      isLost: (leaseId) => this.#leases.isLost(leaseId),
      onLost: (jobs) => {
        for (const job of jobs) this.#drop(job)
      },
      runBatch: (_task, items) => this.#runBatch(task, items),
    })
  }

  async #runBatch(task: AnyTask<Services>, items: TaskItem<unknown>[]): Promise<void> {
    const settlements = await runBatch(task, items, {
      log: this.#options.log,
      attempts: this.#attempts,
      isCancelled: this.#isCancelled,
    })
    this.#countEnded(task.queueName, items)
    this.#settler.add(settlements)
  }

  #countEnded(queueName: string, items: readonly TaskItem<unknown>[]): void {
    const queue = this.#queues.get(queueName)
    if (!queue) return
    // What is held no more, since its lease was lost, was counted then.
    const held = items.filter(({ job }) => this.#held.get(job.id) === job)
    for (const { job } of held) this.#ended.add(job)
    queue.ended(held.length)
    if (queue.isWoken && queue.room > 0) this.#pause.wake()
  }

  async #forget(settled: Settled[]): Promise<void> {
    for (const one of settled) {
      const job = this.#drop(one.settlement.job)
      if (one.as === 'completed') this.#counts.processed += 1
      if (one.as === 'retried' || one.as === 'dead') this.#counts.failed += 1
      if (job) this.#options.onSettled?.(job, one)
    }
    await this.#leases.settle(settled.map(({ settlement }) => settlement.job.leaseId))
    this.#pause.wake()
  }

  /** Forgets a job held under this lease; the same job may be held again under a later one. */
  #drop({ id, leaseId }: HeldJob): ClaimedJob | undefined {
    const job = this.#held.get(id)
    if (job?.leaseId !== leaseId) return undefined
    this.#held.delete(id)
    this.#progress.forget(id)
    const queue = this.#queues.get(job.queueName)
    queue?.settled(job, this.#ended.delete(job))
    return job
  }

  async #stopCancelled(): Promise<void> {
    const ids = await findCancelled(this.#options.pool)
    this.#cancelled = new Set(ids)
    for (const id of ids) {
      const job = this.#held.get(id)
      const waiting = job && this.#tasks.get(job.jobType)?.line.remove(id)
      if (waiting) {
        const { leaseId, position, waitMs } = waiting
        const cancelled = { id, leaseId, position, waitMs, durationMs: 0 }
        this.#settler.add([{ kind: 'cancelled', job: cancelled }])
      } else if (job) this.#attempts.endJob(id)
    }
  }

  #pumpAll(): void {
    for (const { line } of this.#tasks.values()) line.pump()
  }

  #capacityOf(queueName: string): number {
    const ofQueue = [...this.#tasks.values()].filter(({ task }) => task.queueName === queueName)
    return ofQueue.reduce((sum, { line }) => sum + line.capacity, 0)
  }
}
