/** What a tenant's user may be; a tenant's token can carry no other role. */
export const TENANT_ROLES: readonly string[] = ['owner', 'admin', 'manager', 'employee', 'viewer']

/** What our own staff may be; only staff tokens carry these. */
export const STAFF_ROLES: readonly string[] = ['support', 'operator']
