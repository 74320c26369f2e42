import { domainToASCII } from 'node:url'
import type pg from 'pg'

/** A mailbox of the platform, and whose it is. */
export type Recipient = { tenantId: string; emailAccountId: string }

// The address's own domain must be the mailbox's, and verified: nobody receives what is addressed to somebody else's
// domain by claiming it. Should two tenants have verified one domain, it is whose was verified first.
const FIND_RECIPIENT = `
  SELECT m.tenant_id AS "tenantId", m.email_account_id AS "emailAccountId"
  FROM mailbox_directory m
  JOIN email_accounts a ON a.tenant_id = m.tenant_id AND a.id = m.email_account_id AND a.deleted_at IS NULL
  JOIN domains d ON d.tenant_id = a.tenant_id AND d.id = a.domain_id
    AND d.domain = split_part(m.email, '@', 2) AND d.verification_status = 'verified' AND d.deleted_at IS NULL
  JOIN tenants t ON t.id = m.tenant_id AND t.deleted_at IS NULL
  WHERE m.email = ANY($1)
  ORDER BY d.verified_at, m.tenant_id LIMIT 1`

/**
 * The mailbox that an address is, whatever its case; null when the platform has none. Asks as the system, since only the
 * answer says which tenant is concerned.
 */
export async function findRecipient(systemSql: pg.Pool, address: string): Promise<Recipient | null> {
  const query = { name: 'smtp_recipient', text: FIND_RECIPIENT, values: [spellings(address)] }
  const { rows } = await systemSql.query<Recipient>(query)
  return rows[0] ?? null
}

/** How an address may stand in the directory: as it came, and with its domain in ASCII. */
function spellings(address: string): string[] {
  const email = address.toLowerCase()
  const at = email.lastIndexOf('@')
  if (at <= 0) return []
  return [...new Set([email, `${email.slice(0, at)}@${domainToASCII(email.slice(at + 1))}`])]
}
