import { chmodSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { openTierDatabase, type TierDatabase } from '#platform/database/tierDatabase.ts'
import { type RunningPostgres, startPostgres } from '#platform/local/postgres.ts'
import { provisionTier } from '#platform/local/provision.ts'
import { type RunningRedis, startRedis } from '#platform/local/redis.ts'
import { loadSecrets } from '#platform/local/secrets.ts'
import { migrateUp } from '#platform/prisma/migrate.ts'
import { PrismaClient } from '#prisma/queue'
import { findFreePort } from '../../support/freePort.ts'
import { Crew } from './crew.ts'

export type WorldOptions = { workers: number; leaseMs: number }
type Settings = { dataDir: string; port: number; password: string }

/** Everything a run needs, all of it its own: PostgreSQL as durable as in production, Redis, workers, a folder. */
export class World {
  readonly folder: string
  readonly recordsFolder: string
  readonly #settings: Settings
  #postgres: RunningPostgres | undefined
  #redis: RunningRedis | undefined
  #redisPort = 0
  #database: TierDatabase<PrismaClient> | undefined
  #crew: Crew | undefined

  /** Starts all of it; what was started is stopped again if something does not start. */
  static async start(options: WorldOptions): Promise<World> {
    const world = new World(await findFreePort())
    try {
      await world.#start(options)
    } catch (error) {
      await world.close()
      throw error
    }
    return world
  }

  private constructor(port: number) {
    this.folder = mkdtempSync(path.join(tmpdir(), 'penguinmails-faults-'))
    // PostgreSQL's account has to pass through.
    chmodSync(this.folder, 0o711)
    this.recordsFolder = path.join(this.folder, 'records')
    mkdirSync(this.recordsFolder)
    this.#settings = { dataDir: this.folder, port, password: loadSecrets(this.folder).postgres }
  }

  get sql() {
    if (!this.#database) throw new Error('the world has not started')
    return this.#database.systemSql
  }

  get crew(): Crew {
    if (!this.#crew) throw new Error('the world has not started')
    return this.#crew
  }

  get redisUrl(): string {
    return `redis://127.0.0.1:${this.#redisPort}/0`
  }

  async flushRedis(): Promise<void> {
    const redis = new Redis(this.redisUrl)
    await redis.flushall()
    redis.disconnect()
  }

  /** Killed, and back empty after a while. */
  async loseRedis(forMs: number, signal: AbortSignal): Promise<{ from: number; to: number }> {
    const { pid, ended } = this.#redis as RunningRedis
    process.kill(pid, 'SIGKILL')
    const from = Date.now()
    await ended
    await sleep(forMs, undefined, { signal })
    this.#redis = await startRedis({ port: this.#redisPort })
    return { from, to: Date.now() }
  }

  /** Immediate shutdown: every connection is cut, nothing is flushed. Then the same data again, by way of recovery. */
  async losePostgres(forMs: number, signal: AbortSignal): Promise<{ from: number; to: number }> {
    const { pid, ended } = this.#postgres as RunningPostgres
    const from = Date.now()
    process.kill(pid, 'SIGQUIT')
    await ended
    await sleep(forMs, undefined, { signal })
    this.#postgres = await startPostgres(this.#settings)
    return { from, to: Date.now() }
  }

  /** Ends every process and removes the folder; safe to call at any time. */
  async close(): Promise<void> {
    await this.#crew?.close()
    await this.#database?.close().catch(() => undefined)
    await Promise.allSettled([this.#redis?.stop(), this.#postgres?.stop()])
    const data = path.join(this.folder, 'postgres')
    // Where it was moved to, when PostgreSQL's account may not enter the temporary folder.
    if (existsSync(data)) rmSync(realpathSync(data), { recursive: true, force: true })
    rmSync(this.folder, { recursive: true, force: true })
  }

  async #start({ workers, leaseMs }: WorldOptions): Promise<void> {
    this.#redisPort = await findFreePort()
    // One after the other: what failed beside the other would leave it running.
    this.#redis = await startRedis({ port: this.#redisPort })
    this.#postgres = await startPostgres(this.#settings)
    const passwords = loadSecrets(this.folder).databases.queue
    const urlFor = (role: keyof typeof passwords) =>
      `postgresql://queue_${role}:${passwords[role]}@127.0.0.1:${this.#settings.port}/queue`
    await provisionTier({ adminUrl: this.#postgres.adminUrl, tier: 'queue', passwords })
    await migrateUp({ tier: 'queue', url: urlFor('owner'), onProgress: () => {} })
    const urls = { url: urlFor('app'), systemUrl: urlFor('system') }
    this.#database = openTierDatabase(urls, PrismaClient)
    const { recordsFolder, redisUrl } = this
    this.#crew = new Crew({ ...urls, redisUrl, leaseMs, recordsFolder })
    await this.#crew.start(workers)
  }
}
