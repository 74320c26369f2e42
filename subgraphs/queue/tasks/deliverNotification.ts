import { notificationJob } from '#platform/contracts/notification.ts'
import { defineTask, type ItemAnswer, outcomesByKey } from './services.ts'

const DELIVER = `mutation DeliverNotifications($notifications: [DeliverNotificationInput!]!) {
  deliverNotifications(notifications: $notifications) { key status error }
}`

type Answer = { deliverNotifications: (ItemAnswer & { key: string })[] }

/** Tells users something by way of the content tier, which delivers each key once. */
export const deliverNotification = defineTask({
  jobType: 'deliverNotification',
  queueName: 'notification-delivery',
  payload: notificationJob,
  batch: { size: 100, lingerMs: 25 },
  concurrency: 2,
  async run(items, { services }) {
    const notifications = items.map(({ job, payload: { eventId, acceptedAt: _acceptedAt, ...rest } }) => {
      return { ...rest, key: eventId, tenantId: job.tenantId }
    })
    const { deliverNotifications } = await services.content.request<Answer>(DELIVER, { notifications })
    const answers = new Map(deliverNotifications.map((answer) => [answer.key, answer]))
    return outcomesByKey(
      notifications.map(({ key }) => key),
      answers,
    )
  },
})
