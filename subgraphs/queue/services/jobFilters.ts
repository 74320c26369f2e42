import type { JobFilter } from '#graphql/queue'
import type { Caller } from '#platform/caller/caller.ts'
import { AppError } from '#platform/errors.ts'
import { filterId } from '#platform/graph/ids.ts'
import type { JobFilterFacts } from '../engine/jobFilter.ts'
import { renderPayload } from '../engine/jobRequest.ts'
import { tenantOfFilter } from './reader.ts'

const BANDS = {
  high: { from: 1, to: 50 },
  normal: { from: 51, to: 150 },
  low: { from: 151, to: 2_147_483_647 },
} as const

const LONGEST_PAYLOAD = 10_000

/**
 * A client's filter as the engine takes it, but for the status: jobs in work are known by leases alone.
 * @param tenantId the caller's; null for staff, whose filter may name one
 * @throws AppError FORBIDDEN for a tenant in a user's filter and for a payload that the caller may not read;
 *   INVALID_INPUT for a payload that is no object or too long, or over all tenants
 */
export function readJobFilter(
  caller: Caller,
  tenantId: string | null,
  filter: JobFilter | null | undefined,
): JobFilterFacts {
  const named = filterId(tenantOfFilter(caller, filter?.tenantId))
  const tenant = tenantId ?? named
  return {
    tenantId: tenant,
    queueName: filter?.queueName,
    jobType: filter?.jobType,
    correlationId: filter?.correlationId,
    campaignId: filterId(filter?.campaignId),
    priority: filter?.priorityBand && BANDS[filter.priorityBand],
    queued: filter?.queued,
    updated: filter?.updated,
    payload: filter?.payload == null ? undefined : readPayload(caller, tenant, filter.payload),
  }
}

/** What jobs carry to the audit log and to single users is no more everybody's than it is there. */
export function mayReadPayloads({ kind, roles }: Caller): boolean {
  return kind !== 'user' || roles.includes('owner') || roles.includes('admin')
}

function readPayload(caller: Caller, tenantId: string | undefined, payload: unknown): Record<string, unknown> {
  if (!mayReadPayloads(caller)) throw new AppError('FORBIDDEN', 'filter.payload: is for owners and admins')
  if (tenantId === undefined) throw new AppError('INVALID_INPUT', 'filter.payload: needs a tenantId beside it')
  if (typeof payload !== 'object' || payload === null || Array.isArray(payload)) {
    throw new AppError('INVALID_INPUT', 'filter.payload: is not an object')
  }
  const { length } = renderOrRefuse(payload as Record<string, unknown>)
  if (length > LONGEST_PAYLOAD) {
    throw new AppError('INVALID_INPUT', `filter.payload: at most ${LONGEST_PAYLOAD} characters`)
  }
  return payload as Record<string, unknown>
}

function renderOrRefuse(payload: Record<string, unknown>): string {
  try {
    return renderPayload(payload)
  } catch (error) {
    throw new AppError('INVALID_INPUT', `filter.${(error as Error).message}`)
  }
}
