import type pg from 'pg'
import { TIERS, type Tier } from '#platform/contracts/tiers.ts'

/** Connections as the owner of each tier's tables, who sees every tenant's rows. */
export type Owners = Record<Tier, pg.Client>

type Table = { tier: Tier; name: string; condition: string }

const TABLES = `
  SELECT c.relname AS name, EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id') AS keyed
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    AND obj_description(c.oid, 'pg_class') ~ '^Scope: (tenant|membership)' ORDER BY 1`

/** How the tables without a tenant_id say whose a row is. */
const CONDITIONS: Record<string, string> = {
  tenants: 'id = $1',
  users: 'id IN (SELECT user_id FROM tenant_users WHERE tenant_id = $1)',
}

/** Every table of every tier that holds rows of tenants. */
export async function listTenantTables(owners: Owners): Promise<Table[]> {
  const tables = await Promise.all(
    TIERS.map(async (tier) => {
      const { rows } = await owners[tier].query<{ name: string; keyed: boolean }>(TABLES)
      return rows.map(({ name, keyed }) => {
        const condition = keyed ? 'tenant_id = $1' : CONDITIONS[name]
        if (!condition) throw new Error(`${tier}.${name}: say in CONDITIONS whose its rows are`)
        return { tier, name, condition }
      })
    }),
  )
  return tables.flat()
}

/** Of rows that fill up by themselves a moment later, what is there from the beginning. */
const LASTING: Record<string, string> = { content_search: 't.storage_key' }

/** Number and checksum of a tenant's rows, by table. */
export async function fingerprint(owners: Owners, tenantId: string): Promise<Record<string, string>> {
  const entries: [string, string][] = []
  for (const { tier, name, condition } of await listTenantTables(owners)) {
    const row = `${LASTING[name] ?? 't'}::text`
    const { rows } = await owners[tier].query<{ sum: string }>(
      `SELECT count(*) || ' ' || md5(coalesce(string_agg(md5(${row}), '' ORDER BY ${row}), '')) AS sum
       FROM ${name} t WHERE ${condition}`,
      [tenantId],
    )
    entries.push([`${tier}.${name}`, rows[0]?.sum ?? ''])
  }
  return Object.fromEntries(entries)
}

/** Every text that stands anywhere in a tenant's rows, as JSON would write it; times and short words left out. */
export async function collectTexts(owners: Owners, tenantId: string): Promise<Set<string>> {
  const texts = new Set<string>()
  for (const { tier, name, condition } of await listTenantTables(owners)) {
    const { rows } = await owners[tier].query(`SELECT to_jsonb(t) AS row FROM ${name} t WHERE ${condition}`, [tenantId])
    for (const { row } of rows) for (const text of textsIn(row)) texts.add(text)
  }
  return texts
}

const SHORTEST = 6
const TIME_OR_BYTES = /^(\d{4}-\d\d-\d\d([ T].*)?|\\\\x[0-9a-f]*)$/

function textsIn(value: unknown): string[] {
  if (typeof value === 'object' && value !== null) return Object.values(value).flatMap(textsIn)
  if (typeof value !== 'string') return []
  const written = JSON.stringify(value).slice(1, -1)
  return written.length < SHORTEST || TIME_OR_BYTES.test(written) ? [] : [written]
}
