import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import type { Database } from '../database.ts'

/** One version of a tenant's own keys, 32 bytes each. */
export type TenantKey = {
  version: number
  /** Keys the hash by which equal bytes are found: outside the tenant it says nothing. */
  hashKey: Buffer
  /** Seals the stored bytes. */
  dataKey: Buffer
}

type KeyRow = { version: number; wrapped_hash_key: Buffer; wrapped_data_key: Buffer; master_key_id: string }

/** How long a process goes on using a version after it was retired elsewhere. */
const CURRENT_KEY_MS = 60_000
const MAX_CACHED = 10_000
const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16

/** The keys of the tenant in scope, made when first needed and kept unwrapped in memory. */
export class TenantKeys {
  readonly #db: Database
  readonly #masterKey: Buffer
  readonly #masterKeyId: string
  readonly #cache = new Map<string, { key: Promise<TenantKey>; until: number }>()

  constructor(db: Database, masterKey: Buffer) {
    this.#db = db
    this.#masterKey = masterKey
    this.#masterKeyId = createHash('sha256')
      .update('penguinmails master key')
      .update(masterKey)
      .digest('hex')
      .slice(0, 16)
  }

  /** The keys that new content is stored with. */
  current(): Promise<TenantKey> {
    return this.#cached(currentTenant(), CURRENT_KEY_MS, () => this.#findOrMake())
  }

  /** @throws AppError INTERNAL when the tenant has no such version, or another master key wraps it */
  version(version: number): Promise<TenantKey> {
    return this.#cached(`${currentTenant()}/${version}`, Number.POSITIVE_INFINITY, async () => {
      const row = await this.#findRow('version = $2', version)
      if (!row) throw new AppError('INTERNAL', `version ${version} of the tenant's keys is missing`)
      return this.#unwrapRow(row)
    })
  }

  #cached(name: string, lifetimeMs: number, load: () => Promise<TenantKey>): Promise<TenantKey> {
    const known = this.#cache.get(name)
    if (known && known.until > Date.now()) return known.key
    if (this.#cache.size >= MAX_CACHED) this.#cache.clear()
    const key = load()
    this.#cache.set(name, { key, until: Date.now() + lifetimeMs })
    key.catch(() => this.#cache.delete(name))
    return key
  }

  /** Of several processes that make the first version at once, one wins, and all use what it made. */
  async #findOrMake(): Promise<TenantKey> {
    const row = await this.#findRow('retired_at IS NULL')
    if (row) return this.#unwrapRow(row)
    await this.#db.tenantSql.query(
      `INSERT INTO tenant_keys (tenant_id, version, wrapped_hash_key, wrapped_data_key, master_key_id)
       SELECT $1, coalesce(max(version), 0) + 1, $2, $3, $4 FROM tenant_keys WHERE tenant_id = $1
       HAVING count(*) FILTER (WHERE retired_at IS NULL) = 0
       ON CONFLICT DO NOTHING`,
      [
        currentTenant(),
        this.#wrap(randomBytes(KEY_BYTES), 'hash'),
        this.#wrap(randomBytes(KEY_BYTES), 'data'),
        this.#masterKeyId,
      ],
    )
    const made = await this.#findRow('retired_at IS NULL')
    if (!made) throw new AppError('INTERNAL', 'the tenant has no keys')
    return this.#unwrapRow(made)
  }

  async #findRow(condition: string, ...values: unknown[]): Promise<KeyRow | undefined> {
    const { rows } = await this.#db.tenantSql.query<KeyRow>(
      `SELECT version, wrapped_hash_key, wrapped_data_key, master_key_id FROM tenant_keys
       WHERE tenant_id = $1 AND ${condition} ORDER BY version DESC LIMIT 1`,
      [currentTenant(), ...values],
    )
    return rows[0]
  }

  #unwrapRow(row: KeyRow): TenantKey {
    if (row.master_key_id !== this.#masterKeyId) {
      throw new AppError('INTERNAL', `the tenant's keys are wrapped by the master key ${row.master_key_id}, not ours`)
    }
    return {
      version: row.version,
      hashKey: this.#unwrap(row.wrapped_hash_key, 'hash'),
      dataKey: this.#unwrap(row.wrapped_data_key, 'data'),
    }
  }

  #wrap(key: Buffer, purpose: string): Buffer {
    return seal(key, this.#masterKey, keyLabel(purpose))
  }

  #unwrap(wrapped: Buffer, purpose: string): Buffer {
    return unseal(wrapped, this.#masterKey, keyLabel(purpose))
  }
}

/** Bound to its tenant and use: a wrapped key copied to another row does not unwrap. */
function keyLabel(purpose: string): Buffer {
  return Buffer.from(`${currentTenant()}/${purpose}`)
}

/** Encrypts by AES-256-GCM: nonce, tag, ciphertext. `label` is authenticated, not stored. */
export function seal(bytes: Buffer, key: Buffer, label: Buffer): Buffer {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(label)
  const sealed = [cipher.update(bytes), cipher.final()]
  return Buffer.concat([nonce, cipher.getAuthTag(), ...sealed])
}

/** @throws Error when key, label or bytes are not those of `seal` */
export function unseal(sealed: Buffer, key: Buffer, label: Buffer): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES)).setAAD(label)
  decipher.setAuthTag(sealed.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES))
  return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()])
}
