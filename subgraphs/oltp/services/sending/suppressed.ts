/**
 * Whether a lead must not be written to, as SQL: it has left, or its address or domain is suppressed for the whole tenant
 * or for the workspace that writes. Names the tenant as $1.
 * @param lead alias of a row of `leads`
 * @param companyId SQL of the workspace's id
 */
export function isSuppressed(lead: string, companyId: string): string {
  return `(${lead}.unsubscribed_at IS NOT NULL OR ${lead}.status IN ('unsubscribed', 'bounced')
    OR ${isAddressSuppressed(`${lead}.email`, companyId)})`
}

/**
 * Whether an address must not be written to, whoever's it is, as SQL: it or its domain is suppressed for the whole tenant
 * or for the workspace that writes. Names the tenant as $1.
 * @param email SQL of an address
 * @param companyId SQL of the workspace's id
 */
export function isAddressSuppressed(email: string, companyId: string): string {
  return `(EXISTS (
    SELECT FROM suppressions s WHERE s.tenant_id = $1 AND s.email = ${email}
      AND (s.company_id IS NULL OR s.company_id = ${companyId})) OR EXISTS (
    SELECT FROM suppressions s WHERE s.tenant_id = $1 AND s.domain = split_part(${email}, '@', 2)
      AND (s.company_id IS NULL OR s.company_id = ${companyId})))`
}

/**
 * Whether someone has complained of the tenant's mail, as SQL: who has is not even answered. Names the tenant as $1.
 * @param email SQL of an address
 * @param leadId SQL of the id of the lead that it is, or null
 */
export function hasComplained(email: string, leadId: string): string {
  return `(EXISTS (
    SELECT FROM suppressions s WHERE s.tenant_id = $1 AND s.email = ${email} AND s.reason = 'complaint') OR EXISTS (
    SELECT FROM inbox_message_refs c WHERE c.tenant_id = $1 AND c.lead_id = ${leadId} AND c.complained_at IS NOT NULL))`
}
