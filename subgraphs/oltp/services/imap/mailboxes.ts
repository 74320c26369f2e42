import type { Database } from '../../database.ts'

const MAX_MAILBOXES = 1_000

/** A mailbox to be looked into, and how far its folder was read. */
export type MailboxToPoll = {
  tenantId: string
  emailAccountId: string
  email: string
  vaultKeyPath: string | null
  imapSettings: Record<string, unknown>
  folder: string
  /** Null before the first look. */
  uidValidity: bigint | null
  lastUid: bigint
}

// A mailbox that is stopped sends nothing, but people still write to it.
const FIND = `
  SELECT a.tenant_id AS "tenantId", a.id AS "emailAccountId", a.email, a.vault_key_path AS "vaultKeyPath",
    a.imap_settings AS "imapSettings", f.name AS folder, c.uid_validity AS "uidValidity", coalesce(c.last_uid, 0) AS "lastUid"
  FROM email_accounts a
  CROSS JOIN LATERAL (SELECT coalesce(nullif(a.imap_settings->>'folder', ''), 'INBOX') AS name) AS f
  JOIN tenants t ON t.id = a.tenant_id AND t.deleted_at IS NULL
  LEFT JOIN imap_cursors c ON c.tenant_id = a.tenant_id AND c.email_account_id = a.id AND c.folder = f.name
  WHERE a.deleted_at IS NULL AND a.imap_settings <> '{}'::jsonb AND a.status IN ('active', 'paused', 'suspended')
  ORDER BY c.polled_at NULLS FIRST, a.tenant_id, a.id LIMIT $1`

/** Mailboxes of all tenants that are read by IMAP, those not looked at for longest first; at most 1000. */
export async function findMailboxesToPoll(db: Database, first: number): Promise<MailboxToPoll[]> {
  const limit = Math.max(0, Math.min(first, MAX_MAILBOXES))
  const { rows } = await db.systemSql.query<MailboxToPoll>(FIND, [limit])
  return rows.map((row) => ({
    ...row,
    uidValidity: row.uidValidity === null ? null : BigInt(row.uidValidity),
    lastUid: BigInt(row.lastUid),
  }))
}
