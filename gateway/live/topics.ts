import type { Tier } from '#platform/contracts/tiers.ts'

/**
 * What can be subscribed to, and by which field of Query it is answered.
 * `state`: how something is, told whenever it has changed. `events`: things that come up, each told once; a tier lists
 * their ids, and the field takes one.
 */
export type Topic =
  | { kind: 'state'; asks: string; tiers: readonly Tier[] }
  | { kind: 'events'; asks: string; tier: Tier; source: string }

/** By the field of Subscription. */
export const TOPICS: Readonly<Record<string, Topic>> = {
  jobProgress: { kind: 'state', asks: 'job', tiers: ['queue'] },
  queueDepths: { kind: 'state', asks: 'queues', tiers: ['queue'] },
  campaignProgress: { kind: 'state', asks: 'campaign', tiers: ['oltp', 'queue'] },
  notificationReceived: { kind: 'events', asks: 'notification', tier: 'content', source: 'notifications' },
  messageReceived: { kind: 'events', asks: 'message', tier: 'oltp', source: 'messages' },
}
