import type { OltpTier } from './oltpTier.ts'
import { userOf } from './oltpTier.ts'
import type { Workspace } from './workspace.ts'

/** What one root field answered: its value, or the first error's code, message and extensions. */
export type Told = {
  // biome-ignore lint/suspicious/noExplicitAny: a test states the shape it expects
  value: any
  code: string | undefined
  message: string | undefined
  // biome-ignore lint/suspicious/noExplicitAny: as above
  extensions: any
}

/** Asks with one root field, as a member of the workspace with one role. */
export type Ask = (query: string, variables?: object, workspace?: Workspace, role?: string) => Promise<Told>

/** Makes an `Ask` that asks as an employee of the workspace unless told otherwise. */
export function makeAsk(tier: () => OltpTier, of: () => Workspace, usualRole = 'employee'): Ask {
  return async (query, variables = {}, workspace = of(), role = usualRole) => {
    const caller = userOf(workspace.tenantId, { userId: workspace.userId, roles: [role] })
    const { data, errors } = await tier().ask(query, variables, caller)
    const error = errors?.[0]
    return {
      value: data ? Object.values(data)[0] : undefined,
      code: error?.extensions.code,
      message: error?.message,
      extensions: error?.extensions,
    }
  }
}

/** What the audit log is told of a tenant's things of one type, oldest first. */
export async function auditedActs(tier: OltpTier, { tenantId }: Workspace, resourceType: string) {
  const events = await tier.announced(tenantId)
  return events
    .filter(({ eventType, aggregateType }) => eventType === 'audit.recorded' && aggregateType === resourceType)
    .map(({ payload }) => payload as { action: string; resourceId: string; adminUserId: string; newValues?: object })
}
