import { runAsTenant } from '#platform/database/tenantScope.ts'
import type { EventSources } from '#platform/live/routes.ts'
import type { Database } from './database.ts'
import { inboxOf } from './resolvers/callers.ts'
import { findNotificationIds } from './services/notifications.ts'

/** What subscribers are told of, one by one. */
export function eventSources(db: Database): EventSources {
  return {
    notifications: (caller) => {
      const { tenantId, userId } = inboxOf(caller)
      return (read) => runAsTenant(tenantId, () => read((...asked) => findNotificationIds(db, userId, ...asked)))
    },
  }
}
