import { requireUser } from '#platform/caller/caller.ts'
import { findCurrentTenant, runAsTenant } from '#platform/database/tenantScope.ts'
import type { Hints } from '#platform/live/hints.ts'
import type { EventSources } from '#platform/live/routes.ts'
import type { Parts } from './context.ts'
import type { Database } from './database.ts'
import { findReceivedIds } from './services/inbox/messages.ts'

/** What subscribers are told of, one by one. */
export function eventSources(db: Database): EventSources {
  return {
    messages: (caller) => {
      const { tenantId } = requireUser(caller)
      return (read) => runAsTenant(tenantId, () => read((...asked) => findReceivedIds(db, ...asked)))
    },
  }
}

/**
 * Whoever has changed something wakes the relay once it is committed: subscribers of the tenant in scope are told by the
 * same word. What workers change of many tenants at once tells nobody here; their jobs do.
 */
export function tellingRelay(hints: Pick<Hints, 'tell'>, wake: () => void): Parts['relay'] {
  return {
    wake() {
      wake()
      const tenantId = findCurrentTenant()
      if (tenantId !== null) hints.tell(tenantId)
    },
  }
}
