import pg from 'pg'
import { TenantPool, type TenantPoolOptions } from '#platform/database/tenantPool.ts'
import { eventually } from '../support/eventually.ts'
import type { TestDatabase } from './twoTenants.ts'

/** Runs `work` with a pool of one connection, so that every statement meets what the one before it left. */
export async function withPool<Result>(
  db: TestDatabase,
  work: (pool: TenantPool) => Promise<Result>,
  options: TenantPoolOptions = {},
): Promise<Result> {
  const pool = new TenantPool({ connectionString: db.urls.url, max: 1, ...options })
  try {
    return await work(pool)
  } finally {
    await pool.end()
  }
}

/** Looks at a pooled connection as its next user would find it; answers the first row. */
export async function inspect(pool: TenantPool, sql: string): Promise<pg.QueryResultRow> {
  const connect = pg.Pool.prototype.connect as unknown as () => Promise<pg.PoolClient>
  const client = await connect.call(pool)
  try {
    return (await client.query(sql)).rows[0]
  } finally {
    client.release()
  }
}

/** The tenant that a connection still has, or null. */
export async function residueOf(pool: TenantPool): Promise<string | null> {
  return (await inspect(pool, "SELECT current_setting('app.current_tenant_id', true) AS tenant")).tenant || null
}

/** SQL that sleeps for long in this process of the server, and in no other: asked again, it answers at once. */
export function sleepIn(pid: number): string {
  return `pg_sleep(CASE pg_backend_pid() WHEN ${pid} THEN 30 ELSE 0 END)`
}

/** Ends a process of the server as soon as it sleeps. */
export async function terminateAsleep(db: TestDatabase, pid: number): Promise<void> {
  const terminate = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'`
  await eventually(
    () => db.asAdmin(terminate, [pid]),
    (terminated) => terminated.length === 1,
  )
}

/** The server's process behind a pool of one connection. */
export async function backendOf(pool: TenantPool): Promise<number> {
  return (await inspect(pool, 'SELECT pg_backend_pid() AS pid')).pid
}
