import { currentTenant, runAsTenant } from '#platform/database/tenantScope.ts'
import { groupBy } from '#platform/grouping.ts'
import type { Log } from '#platform/log.ts'
import type { Database } from '../database.ts'
import { batchBlobs } from './blobs.ts'
import type { TenantKeys } from './tenantKeys.ts'

/** Between two looks when nothing waited. */
const PAUSE_MS = 1_000
/** Mails read at once; their texts are in memory meanwhile. */
const MAILS_AT_ONCE = 50
/** Of a mail's text, characters: what comes later in a long one is not found. */
const MOST_TEXT = 200_000

const WAITING = `
  SELECT tenant_id AS "tenantId", storage_key AS "storageKey" FROM content_search WHERE search_vector IS NULL
  ORDER BY created_at LIMIT ${MAILS_AT_ONCE}`

const READ = `
  SELECT o.storage_key AS "storageKey", o.text_hash AS "textHash", o.key_version AS "keyVersion",
    concat_ws(' ', o.envelope ->> 'subject', o.envelope ->> 'fromEmail',
      (SELECT string_agg(e, ' ') FROM jsonb_array_elements_text(CASE jsonb_typeof(o.envelope -> 'toEmails')
        WHEN 'array' THEN o.envelope -> 'toEmails' ELSE '[]' END) AS e),
      (SELECT string_agg(a.filename, ' ' ORDER BY a.position) FROM attachments a
       WHERE a.tenant_id = $1 AND a.storage_key = o.storage_key)) AS about
  FROM content_objects o WHERE o.tenant_id = $1 AND o.storage_key = ANY($2::text[])`

// Words of what stands about the mail count as much as its own. Rows are locked in the order of their keys.
const WRITE = `
  WITH held AS MATERIALIZED (
    SELECT s.storage_key, v.about, v.text FROM content_search s
    JOIN unnest($2::text[], $3::text[], $4::text[]) AS v (storage_key, about, text) ON v.storage_key = s.storage_key
    WHERE s.tenant_id = $1 ORDER BY s.storage_key FOR NO KEY UPDATE OF s
  )
  UPDATE content_search s
  SET search_vector = to_tsvector('simple', held.about || ' ' || held.text), trigram_text = left(held.about, 2000)
  FROM held WHERE s.tenant_id = $1 AND s.storage_key = held.storage_key`

type Waiting = { tenantId: string; storageKey: string }
type Mail = { storageKey: string; textHash: Buffer | null; keyVersion: number; about: string }

/**
 * Gives mails the words they are found by, a moment after they were stored: reading and writing them then would double
 * what storing costs. Several processes may do so at once: what two of them read, they write alike.
 */
export class SearchIndexer {
  readonly #db: Database
  readonly #keys: TenantKeys
  readonly #log: Log
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> = Promise.resolve()
  #isStopped = false

  constructor(db: Database, keys: TenantKeys, log: Log) {
    this.#db = db
    this.#keys = keys
    this.#log = log
    this.#again(PAUSE_MS)
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    clearTimeout(this.#timer)
    await this.#running
  }

  /** Indexes some of what waits; answers how many. */
  async step(): Promise<number> {
    const { rows } = await this.#db.systemSql.query<Waiting>(WAITING)
    for (const [tenantId, own] of groupBy(rows, (row) => row.tenantId)) {
      const storageKeys = own.map(({ storageKey }) => storageKey)
      await runAsTenant(tenantId, () => this.#index(storageKeys))
    }
    return rows.length
  }

  #again(pauseMs: number): void {
    if (this.#isStopped) return
    this.#timer = setTimeout(() => {
      this.#running = this.#look()
    }, pauseMs).unref()
  }

  async #look(): Promise<void> {
    const done = await this.step().catch((error: unknown) => {
      this.#log.warn({ err: error }, 'mails cannot be indexed for search now')
      return 0
    })
    this.#again(done === MAILS_AT_ONCE ? 0 : PAUSE_MS)
  }

  async #index(storageKeys: readonly string[]): Promise<void> {
    const sql = this.#db.tenantSql
    const { rows } = await sql.query<Mail>({ name: 'read_for_search', text: READ }, [currentTenant(), storageKeys])
    const texts = await this.#readTexts(rows)
    await sql.query({ name: 'write_search', text: WRITE }, [
      currentTenant(),
      rows.map(({ storageKey }) => storageKey),
      rows.map(({ about }) => about),
      texts,
    ])
  }

  /** A text that cannot be read is as good as none: what stands about the mail is still found. */
  async #readTexts(mails: readonly Mail[]): Promise<string[]> {
    const read = async ({ textHash, keyVersion, storageKey }: Mail): Promise<string> => {
      if (!textHash) return ''
      try {
        const [bytes] = await batchBlobs(this.#db, this.#keys, [{ hash: textHash, keyVersion }])
        return bytes?.toString('utf8').slice(0, MOST_TEXT).replaceAll('\0', ' ') ?? ''
      } catch (error) {
        this.#log.warn({ err: error, storageKey }, "a mail's text cannot be read for search")
        return ''
      }
    }
    return Promise.all(mails.map(read))
  }
}
