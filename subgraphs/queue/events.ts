import type { OutboxRoutes } from '#platform/outbox/relay.ts'

/** Which job each event of this tier becomes. */
export const routes: OutboxRoutes = {
  'audit.recorded': { queueName: 'analytics-processing', jobType: 'recordAudit' },
  'notification.requested': { queueName: 'notification-delivery', jobType: 'deliverNotification' },
}
