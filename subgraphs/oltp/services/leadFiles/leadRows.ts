import { v7 as uuidv7 } from 'uuid'
import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import type { AcceptedRow, RowProblem } from './importedRows.ts'

/** What is known of an address: whose it is, and whether it must not be written to. */
export type KnownLead = { id: string | null; isSuppressed: boolean }

/** Rows that were refused and are kept to be looked at; all are counted. */
const MOST_KEPT = 10_000

// Unnamed statements: a plan made for any number of rows is three times slower than one made for these.
const FIND_KNOWN = `
  SELECT asked.email, l.id,
    EXISTS (SELECT FROM suppressions s WHERE s.tenant_id = $1 AND s.email = asked.email
            AND (s.company_id IS NULL OR s.company_id = $3))
    OR EXISTS (SELECT FROM suppressions s WHERE s.tenant_id = $1 AND s.domain = split_part(asked.email, '@', 2)
               AND (s.company_id IS NULL OR s.company_id = $3)) AS "isSuppressed"
  FROM unnest($2::text[]) AS asked(email)
  LEFT JOIN leads l ON l.tenant_id = $1 AND l.email = asked.email AND l.deleted_at IS NULL`

const INSERT = `
  INSERT INTO leads (tenant_id, id, email, name, company, title, custom)
  SELECT $1, id, email, name, company, title, custom FROM jsonb_to_recordset($2::jsonb)
    AS l(id uuid, email text, name text, company text, title text, custom jsonb) ORDER BY email
  ON CONFLICT (tenant_id, email) WHERE (deleted_at IS NULL) DO NOTHING RETURNING id`

// An empty cell takes nothing away.
const UPDATE = `
  WITH said AS (
    SELECT * FROM jsonb_to_recordset($2::jsonb) AS l(id uuid, name text, company text, title text, custom jsonb)
  ), locked AS (
    SELECT l.id FROM leads l JOIN said USING (id) WHERE l.tenant_id = $1 ORDER BY l.id FOR NO KEY UPDATE OF l
  )
  UPDATE leads l SET name = coalesce(said.name, l.name), company = coalesce(said.company, l.company),
    title = coalesce(said.title, l.title), custom = l.custom || said.custom
  FROM said JOIN locked USING (id) WHERE l.tenant_id = $1 AND l.id = said.id`

const WRITE_PROBLEMS = `
  INSERT INTO lead_import_errors (tenant_id, lead_import_id, row_number, code, message, row_text)
  SELECT $1, $2, number, code, message, text FROM jsonb_to_recordset($3::jsonb)
    AS p(number int, code text, message text, text text)`

/** What the tenant in scope knows of addresses; of suppressions of one workspace, only those of this one count. */
export async function findKnownLeads(
  tx: Queryable,
  emails: readonly string[],
  companyId: string | null,
): Promise<Map<string, KnownLead>> {
  type Row = { email: string } & KnownLead
  const { rows } = await tx.query<Row>(FIND_KNOWN, [currentTenant(), emails, companyId])
  return new Map(rows.map(({ email, ...known }) => [email, known]))
}

/** Makes leads; answers the ids of those whose address was not taken in the meantime. */
export async function insertLeads(tx: Queryable, rows: readonly AcceptedRow[]): Promise<string[]> {
  if (rows.length === 0) return []
  const leads = rows.map(({ lead }) => ({ ...lead, id: uuidv7() }))
  const inserted = await tx.query<{ id: string }>(INSERT, [currentTenant(), JSON.stringify(leads)])
  return inserted.rows.map(({ id }) => id)
}

/** Adds what the rows say to leads that are there. */
export async function updateLeads(tx: Queryable, rows: readonly (AcceptedRow & { id: string })[]): Promise<void> {
  if (rows.length === 0) return
  await tx.query(UPDATE, [currentTenant(), JSON.stringify(rows.map(({ id, lead }) => ({ ...lead, id })))])
}

/** Keeps what was wrong with rows, up to 10,000 of an import. @param before how many were refused before */
export async function writeProblems(
  tx: Queryable,
  importId: string,
  { problems, before }: { problems: readonly RowProblem[]; before: number },
): Promise<void> {
  const kept = problems.slice(0, Math.max(0, MOST_KEPT - before))
  if (kept.length > 0) await tx.query(WRITE_PROBLEMS, [currentTenant(), importId, JSON.stringify(kept)])
}
