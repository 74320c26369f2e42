import type { EmailEventJob } from '#platform/contracts/emailEvent.ts'

export type ModelCounts = Record<string, number>

export type FactEntity = 'campaignId' | 'stepId' | 'emailAccountId' | 'leadId'

const COLUMN_OF: Partial<Record<EmailEventJob['eventType'], string>> = {
  opened: 'openedTracked',
  clicked: 'clickedTracked',
  complained: 'spamComplaints',
}

/** What the facts of one entity column must be, computed the slow way: `entity day` → counts. */
export class FactsModel {
  readonly entity: FactEntity
  private readonly counted = new Set<string>()
  private readonly firsts = new Set<string>()
  private readonly facts = new Map<string, ModelCounts>()

  constructor(entity: FactEntity) {
    this.entity = entity
  }

  /** One batch, as it would be delivered. */
  add(batch: readonly EmailEventJob[]): void {
    const fresh = batch.filter(({ tenantId, eventId }) => {
      const key = `${tenantId} ${eventId}`
      return !this.counted.has(key) && this.counted.add(key)
    })
    // Of several opens of a mail in one batch the earliest is the first.
    const inTime = fresh.toSorted((a, b) => (`${a.occurredAt}${a.eventId}` < `${b.occurredAt}${b.eventId}` ? -1 : 1))
    for (const event of inTime) this.count(event)
  }

  /** Facts of a tenant, sorted. */
  of(tenantId: string): [string, ModelCounts][] {
    return [...this.facts]
      .filter(([key]) => key.startsWith(tenantId))
      .map(([key, counts]): [string, ModelCounts] => [key.slice(tenantId.length + 1), counts])
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
  }

  private count(event: EmailEventJob): void {
    if (event.eventType === 'opened' && (event.openClass ?? 'human') === 'human' && this.isFirst(event, 'person')) {
      this.increment(event, 'openedByPerson')
    }
    const onlyFirst = event.eventType === 'opened' || event.eventType === 'clicked'
    if (!onlyFirst || this.isFirst(event, event.eventType)) {
      this.increment(event, COLUMN_OF[event.eventType] ?? event.eventType)
    }
  }

  private isFirst({ tenantId, messageId }: EmailEventJob, kind: string): boolean {
    if (!messageId) return true
    const key = `${tenantId} ${messageId} ${kind}`
    if (this.firsts.has(key)) return false
    this.firsts.add(key)
    return true
  }

  private increment(event: EmailEventJob, counter: string): void {
    const entity = event[this.entity]
    if (!entity) return
    const key = `${event.tenantId} ${entity} ${event.localDay}`
    const counts = this.facts.get(key) ?? {}
    this.facts.set(key, counts)
    counts[counter] = (counts[counter] ?? 0) + 1
  }
}
