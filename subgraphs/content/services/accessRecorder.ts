import { v7 as uuidv7 } from 'uuid'
import { runAsTenant } from '#platform/database/tenantScope.ts'
import { groupBy } from '#platform/grouping.ts'
import type { Log } from '#platform/log.ts'
import type { Database } from '../database.ts'

/** A look of one user at one stored mail. */
export type Access = {
  tenantId: string
  userId: string | null
  storageKey: string
  accessType: 'read' | 'download' | 'preview' | 'search'
  /** Handed out. */
  bytes: number
}

const FLUSH_MS = 1000
const ONCE_PER_MS = 60_000
/** The most its column holds: who asks for one body under a thousand names must not spoil the others' record. */
const MAX_BYTES = 2 ** 31 - 1

/**
 * Writes down who read what, a second later and many at once: reading is far more frequent than anybody asks who read.
 * Looks of one user at one mail count once a minute. What a crash takes with it is that second.
 */
export class AccessRecorder {
  readonly #db: Database
  readonly #log: Log
  readonly #timer: NodeJS.Timeout
  #pending = new Map<string, Access>()
  #seen = new Set<string>()
  #seenSince = Date.now()
  #flushing: Promise<void> = Promise.resolve()

  constructor(db: Database, log: Log) {
    this.#db = db
    this.#log = log
    this.#timer = setInterval(() => void this.flush(), FLUSH_MS).unref()
  }

  record(access: Access): void {
    const name = `${access.tenantId}/${access.userId}/${access.accessType}/${access.storageKey}`
    const pending = this.#pending.get(name)
    if (pending) pending.bytes = Math.min(pending.bytes + access.bytes, MAX_BYTES)
    else if (!this.#hasSeen(name)) this.#pending.set(name, { ...access })
  }

  /** Writes what is pending; failures are logged, not thrown. */
  flush(): Promise<void> {
    const accesses = [...this.#pending.values()]
    this.#pending = new Map()
    const byTenant = groupBy(accesses, ({ tenantId }) => tenantId)
    this.#flushing = this.#flushing.then(async () => {
      for (const [tenantId, own] of byTenant) {
        await runAsTenant(tenantId, () => this.#write(tenantId, own)).catch((error: unknown) =>
          this.#log.error({ err: error, tenantId, accesses: own.length }, 'accesses to content were not written down'),
        )
      }
    })
    return this.#flushing
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.flush()
  }

  #hasSeen(name: string): boolean {
    if (Date.now() - this.#seenSince > ONCE_PER_MS) {
      this.#seen = new Set()
      this.#seenSince = Date.now()
    }
    if (this.#seen.has(name)) return true
    this.#seen.add(name)
    return false
  }

  async #write(tenantId: string, accesses: readonly Access[]): Promise<void> {
    const rows = accesses.map(({ userId, storageKey, accessType, bytes }) => ({
      id: uuidv7(),
      user_id: userId,
      storage_key: storageKey,
      access_type: accessType,
      bytes,
    }))
    await this.#db.tenantSql.query(
      `WITH looks AS MATERIALIZED (
         SELECT * FROM jsonb_to_recordset($2::jsonb)
           AS l(id uuid, user_id uuid, storage_key text, access_type text, bytes int)
       ), written AS (
         INSERT INTO content_access_log (tenant_id, id, user_id, storage_key, access_type, bytes)
         SELECT $1, id, user_id, storage_key, access_type, bytes FROM looks
       ), locked AS (
         SELECT storage_key FROM content_objects
         WHERE tenant_id = $1 AND storage_key IN (SELECT storage_key FROM looks)
           AND (last_accessed_at IS NULL OR last_accessed_at < now() - interval '1 hour')
         ORDER BY storage_key FOR NO KEY UPDATE SKIP LOCKED
       )
       UPDATE content_objects SET last_accessed_at = now()
       WHERE tenant_id = $1 AND storage_key IN (SELECT storage_key FROM locked)`,
      [tenantId, JSON.stringify(rows)],
    )
  }
}
