import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'

// One row of the tenant in scope, in a transaction. Tables and fields are named by our own code, never by a client.

/** Values by field, named as Prisma names them: `bodyText` stands for the column body_text. */
export type Values = Record<string, unknown>

/** Writes a row; 0 when a unique key is taken. */
export async function insertRow(tx: Queryable, table: string, values: Values): Promise<number> {
  const row: Values = { tenantId: currentTenant(), ...values }
  const fields = Object.keys(row)
  const text = `INSERT INTO ${table} (${fields.map(columnOf).join(', ')})
    VALUES (${fields.map((_, index) => `$${index + 1}`).join(', ')}) ON CONFLICT DO NOTHING`
  const { rowCount } = await tx.query(text, Object.values(row))
  return rowCount ?? 0
}

/** A live row's fields, locked until the transaction ends; null when there is none. */
export async function lockRow<Row extends Values>(
  tx: Queryable,
  table: string,
  id: string,
  fields: readonly (keyof Row & string)[],
): Promise<Row | null> {
  const columns = fields.map((field) => `${columnOf(field)} AS "${field}"`).join(', ')
  const text = `SELECT ${columns} FROM ${table} WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL FOR NO KEY UPDATE`
  const { rows } = await tx.query<Row>(text, [currentTenant(), id])
  return rows[0] ?? null
}

/** Changes a row, `updated_at` in any case. */
export async function updateRow(tx: Queryable, table: string, id: string, values: Values): Promise<void> {
  const fields = Object.keys(values)
  const set = fields.map((field, index) => `${columnOf(field)} = $${index + 3}`).join(', ')
  await tx.query(`UPDATE ${table} SET ${set || 'updated_at = DEFAULT'} WHERE tenant_id = $1 AND id = $2`, [
    currentTenant(),
    id,
    ...Object.values(values),
  ])
}

/** Whether all of these are live rows of the tenant; each is held against deletion until the transaction ends. */
export async function areLive(tx: Queryable, table: string, ids: readonly string[]): Promise<boolean> {
  const wanted = [...new Set(ids)]
  const text = `SELECT id FROM ${table} WHERE tenant_id = $1 AND id = ANY($2::uuid[]) AND deleted_at IS NULL FOR SHARE`
  const { rows } = await tx.query(text, [currentTenant(), wanted])
  return rows.length === wanted.length
}

function columnOf(field: string): string {
  return field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

/** Whether a statement failed because a row with the same unique values exists. */
export function isTaken(error: unknown): boolean {
  return (error as { code?: string } | null)?.code === '23505'
}
