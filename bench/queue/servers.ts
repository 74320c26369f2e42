import pg from 'pg'
import { findFreePort } from '#platform/local/freePort.ts'
import { admitRolesOnly } from '#platform/local/provision.ts'
import { hasRedisServer } from '#platform/local/redis.ts'
import { startOwnDatabase } from '../support/tierDatabase.ts'
import { startRedisWithLog } from './redisWithLog.ts'

/** The queue tier's roles in one database. */
export type QueueDatabase = { url: string; systemUrl: string; ownerUrl: string }

/** One PostgreSQL and one Redis for everyone, both as durable as they would be in earnest. */
export type Servers = {
  postgresVersion: string
  /** Null where there is no redis-server on PATH. */
  redisUrl: string | null
  /** An empty database, as its superuser. */
  createPeerDatabase(name: string): Promise<string>
  /** A database of the queue tier, migrated; its queues do not limit how many jobs may run at once. */
  createQueueDatabase(name: string): Promise<QueueDatabase>
  close(): Promise<void>
}

export async function startServers(): Promise<Servers> {
  const template = await startOwnDatabase('queue', { durable: true })
  // With a server that stops connections end; that is no news.
  const admin = new pg.Pool({ connectionString: template.adminUrl, max: 1 })
  admin.on('error', () => {})
  let stopRedis = async () => {}
  const close = async () => {
    await Promise.all([
      stopRedis(),
      admin
        .end()
        .catch(() => {})
        .then(() => template.close()),
    ])
  }
  try {
    const redis = hasRedisServer() ? await startRedisWithLog(await findFreePort()) : null
    if (redis) stopRedis = redis.stop
    const owner = new pg.Client(template.ownerUrl)
    await owner.connect()
    await owner.query('UPDATE job_queues SET max_concurrent_jobs = 1000000')
    await owner.end()
    const { rows } = await admin.query('SHOW server_version')
    const recreate = async (name: string, like: string) => {
      await admin.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
      await admin.query(`CREATE DATABASE ${name} ${like}`)
    }
    return {
      postgresVersion: rows[0]?.server_version,
      redisUrl: redis?.url ?? null,
      async createPeerDatabase(name) {
        await recreate(name, 'TEMPLATE template0')
        return inDatabase(template.adminUrl, name)
      },
      async createQueueDatabase(name) {
        await recreate(name, 'TEMPLATE queue OWNER queue_owner')
        await admitRolesOnly(admin, 'queue', name)
        const { url, systemUrl, ownerUrl } = template
        return {
          url: inDatabase(url, name),
          systemUrl: inDatabase(systemUrl, name),
          ownerUrl: inDatabase(ownerUrl, name),
        }
      },
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

function inDatabase(url: string, name: string): string {
  return Object.assign(new URL(url), { pathname: `/${name}` }).href
}
