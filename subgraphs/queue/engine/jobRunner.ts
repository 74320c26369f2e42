import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type pg from 'pg'
import type { Log } from '#platform/log.ts'
import { Chores } from './chores.ts'
import { claimJobs, findQueuesWithWork } from './claim.ts'
import { PermanentFailure } from './failure.ts'
import type { ClaimedJob, HeldJob } from './job.ts'
import { describeProblem } from './jobRequest.ts'
import { returnOrphans } from './lease.ts'
import { LeaseKeeper } from './leaseKeeper.ts'
import { expireJobs, keepHouse } from './maintenance.ts'
import { Pause } from './pause.ts'
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
  onSettled?: (job: { jobType: string; queueName: string }, settled: Settled) => void
}

const CLAIM_LIMIT = 500
const LONGEST_PAUSE_MS = 5_000
const ORPHANS_EVERY_MS = 10_000
const EXPIRE_EVERY_MS = 10_000
const KEEP_HOUSE_EVERY_MS = 3_600_000

/** One worker's machine: claims jobs of its queues, runs their tasks in batches, writes the outcomes, keeps its leases. */
export class JobRunner<Services> {
  readonly worker: WorkerIdentity
  readonly #options: JobRunnerOptions<Services>
  readonly #pollMs: number
  readonly #leaseMs: number
  readonly #lines = new Map<string, TaskLine<Services>>()
  readonly #held = new Map<string, ClaimedJob>()
  readonly #leases: LeaseKeeper
  readonly #settler: Settler
  readonly #reaper: Reaper
  readonly #pause = new Pause()
  readonly #stopSignal = new AbortController()
  readonly #counts = { processed: 0, failed: 0 }
  #isStopping = false
  #stopListening = () => {}
  #loop: Promise<void> | undefined
  readonly #chores: Chores

  constructor(options: JobRunnerOptions<Services>) {
    const { pool, tasks, log, leaseMs = 30_000, pollMs = 250 } = options
    this.#options = options
    this.#leaseMs = leaseMs
    this.#pollMs = pollMs
    const queues = [...new Set(tasks.map(({ queueName }) => queueName))]
    this.worker = { id: randomUUID(), host: hostname(), pid: process.pid, queues }
    this.#leases = new LeaseKeeper({
      pool,
      worker: this.worker,
      leaseMs,
      counts: () => ({ ...this.#counts, running: this.#held.size }),
      onBeat: () => this.#pumpAll(),
      log,
    })
    this.#settler = new Settler(pool, log, (settled) => this.#forget(settled))
    this.#chores = new Chores(log)
    this.#reaper = new Reaper(pool, this.#leases.heartbeatMs)
    for (const task of tasks) this.#lines.set(task.jobType, this.#makeLine(task))
  }

  /** Jobs claimed and not settled yet. */
  get held(): number {
    return this.#held.size
  }

  /** Registers and begins. Waits for the database as long as it takes. */
  start(): void {
    this.#stopListening = this.#options.wakeUp.listen(this.worker.queues, () => this.wake())
    this.#leases.start()
    this.#loop = this.#run()
    const announce = (queueNames: string[]) => {
      if (queueNames.length === 0) return
      this.#options.wakeUp.announce(queueNames)
      this.wake()
    }
    const { pool } = this.#options
    this.#chores.every(Math.min(1_000, this.#leases.heartbeatMs), async () => announce(await this.#reaper.look()))
    this.#chores.every(ORPHANS_EVERY_MS, async () => announce(await returnOrphans(pool)))
    this.#chores.every(EXPIRE_EVERY_MS, () => expireJobs(pool))
    this.#chores.every(KEEP_HOUSE_EVERY_MS, () => keepHouse(pool))
  }

  /** There may be something to do. */
  wake(): void {
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
    await this.#loop
    const waiting = [...this.#lines.values()].flatMap((line) => line.clear())
    this.#settler.add(
      waiting.map(({ id, tenantId, leaseId }) => ({ kind: 'postponed', job: { id, tenantId, leaseId, delayMs: 0 } })),
    )
    const timer = setTimeout(() => this.#stopSignal.abort(new Error('the worker stops')), deadlineMs)
    await Promise.all([...this.#lines.values()].map((line) => line.idle()))
    clearTimeout(timer)
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
        if (claimed === 0 && !this.#isStopping) await this.#pause.wait(this.#pollMs)
      } catch (error) {
        if (failures === 0) log.warn({ err: error }, 'the worker cannot claim jobs')
        failures += 1
        // Settled jobs wake the worker; that is no reason to ask a database that is away.
        if (!this.#isStopping) this.#pause.rearm()
        await this.#pause.wait(Math.min(LONGEST_PAUSE_MS, this.#pollMs * 2 ** failures))
      }
    }
  }

  async #claimWhatFits(): Promise<number> {
    const { pool } = this.#options
    const hungry = this.worker.queues.filter((name) => this.#roomIn(name) > 0)
    const queues = await findQueuesWithWork(pool, hungry)
    let claimed = 0
    for (const queueName of queues) {
      if (this.#isStopping) break
      const claimedAt = performance.now()
      const limit = Math.min(CLAIM_LIMIT, this.#roomIn(queueName))
      const claim = await claimJobs(pool, { workerId: this.worker.id, queueName, limit, leaseMs: this.#leaseMs })
      if (!claim) continue
      this.#leases.add(claim, claimedAt)
      for (const job of claim.jobs) this.#held.set(job.id, job)
      for (const job of claim.jobs) this.#accept(job)
      claimed += claim.jobs.length
    }
    return claimed
  }

  /** Twice what the queue's tasks can run at once, so that they never wait; nothing until half of it is done. */
  #roomIn(queueName: string): number {
    let held = 0
    for (const job of this.#held.values()) if (job.queueName === queueName) held += 1
    let capacity = 0
    for (const task of this.#options.tasks) {
      if (task.queueName === queueName) capacity += this.#lines.get(task.jobType)?.capacity ?? 0
    }
    return held <= capacity ? capacity * 2 - held : 0
  }

  #accept(job: ClaimedJob): void {
    const task = this.#options.tasks.find(({ jobType, queueName }) => {
      return jobType === job.jobType && queueName === job.queueName
    })
    const line = this.#lines.get(job.jobType)
    const payload = task?.payload.safeParse(job.payload)
    if (!line || !payload) {
      this.#reject(job, new PermanentFailure(`no task runs ${job.jobType} jobs of the queue ${job.queueName}`))
    } else if (payload.success) line.add({ job, payload: payload.data })
    else this.#reject(job, new PermanentFailure(`the payload does not parse: ${describeProblem(payload.error)}`))
  }

  #reject(job: ClaimedJob, error: PermanentFailure): void {
    this.#settler.add([settleFailure(job, error, { durationMs: 0, isAlone: true, log: this.#options.log })])
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
    const { services, log } = this.#options
    const leaseIds = [...new Set(items.map(({ job }) => job.leaseId))]
    // A batch of several leases runs on as long as one of them is held: only that one's jobs can be settled.
    const lost = leaseIds.length === 1 ? this.#leases.lostSignal(leaseIds[0] as string) : new AbortController().signal
    const settlements = await runBatch(task, items, { services, log, lost, stop: this.#stopSignal.signal })
    this.#settler.add(settlements)
  }

  async #forget(settled: Settled[]): Promise<void> {
    for (const one of settled) {
      const job = this.#drop(one.settlement.job)
      if (one.as === 'completed') this.#counts.processed += 1
      if (one.as === 'retried' || one.as === 'dead') this.#counts.failed += 1
      if (job) this.#options.onSettled?.(job, one)
    }
    await this.#leases.settle(settled.map(({ settlement }) => settlement.job.leaseId))
    this.wake()
  }

  /** Forgets a job held under this lease; the same job may be held again under a later one. */
  #drop({ id, leaseId }: HeldJob): ClaimedJob | undefined {
    const job = this.#held.get(id)
    if (job?.leaseId !== leaseId) return undefined
    this.#held.delete(id)
    return job
  }

  #pumpAll(): void {
    for (const line of this.#lines.values()) line.pump()
  }
}
