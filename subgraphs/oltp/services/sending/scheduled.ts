import { currentTenant } from '#platform/database/tenantScope.ts'
import { audit } from '#platform/outbox/announce.ts'
import type { Context } from '../../context.ts'
import type { CampaignFacts } from './campaignFacts.ts'
import { startEnrollments } from './enroll.ts'

const START = `
  UPDATE campaigns SET status = 'sending', started_at = coalesce(started_at, $3), version = version + 1
  WHERE tenant_id = $1 AND id = $2 AND status = 'scheduled' AND scheduled_at <= $3`

/** Begins a campaign whose time has come; nothing happens when somebody else did, or it was taken back. */
export function startScheduled({ db, requestId }: Context, { id }: CampaignFacts, at: Date): Promise<boolean> {
  return db.tenantSql.transaction(
    async (tx) => {
      const { rowCount } = await tx.query({ name: 'start_scheduled', text: START }, [currentTenant(), id, at])
      if (rowCount === 0) return false
      await startEnrollments(tx, id, at)
      await audit(tx, {
        ...{ tenantId: currentTenant(), correlationId: requestId, action: 'campaign.launch' },
        ...{ resourceType: 'Campaign', resourceId: id },
        oldValues: { status: 'scheduled' },
        newValues: { status: 'sending' },
        notes: 'at the time it was scheduled for',
      })
      return true
    },
    { retries: 3 },
  )
}
