import { AppError } from '#platform/errors.ts'

/**
 * Job types that a tenant's own users may ask for, whether now or by a schedule. All others are the platform's own: their
 * payloads come from outboxes and are believed. A type belongs here only if its task bears any payload a stranger makes up.
 */
export const TENANT_JOB_TYPES: readonly string[] = []

/** What is counted and noted about a tenant is nobody's to leave out or to make up; the watermark promises it is counted. */
export const RECORDING_JOB_TYPES: readonly string[] = ['recordAudit', 'recordTracking', 'rollUpEvents']

/** @throws AppError FORBIDDEN for a type that is not in the list */
export function requireTenantJobType(jobType: string): void {
  if (!TENANT_JOB_TYPES.includes(jobType)) {
    throw new AppError('FORBIDDEN', `jobType: ${jobType.slice(0, 100)} jobs are not for tenants' users to make`)
  }
}
