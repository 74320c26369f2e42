import type { Tier } from '#platform/contracts/tiers.ts'
import type { Chosen } from '../stack/data.ts'

/** What is asked while a tier is dead. */
export type Outage = {
  /** Asks nothing of the tier: it is to be as fast as ever. */
  unaffected: Asked
  /** Asks the tier too: what others know is to be answered, the rest to be an error that names it. */
  half: Asked & { answered: string }
}
export type Asked = { query: string; variables?: (n: number) => Record<string, unknown> }

export function makeOutages({ campaignIds }: Chosen): Record<Tier, Outage> {
  const campaign: Asked = {
    query: 'query Campaign($id: ID!) { campaign(id: $id) { id name status company { id name } } }',
    variables: (n) => ({ id: campaignIds[n % campaignIds.length] }),
  }
  const notifications = { query: '{ notifications(first: 10) { nodes { id type title isRead createdAt } } }' }
  const half = (answered: string, query: string) => ({ answered, query })
  return {
    oltp: {
      unaffected: notifications,
      half: half('jobs', '{ jobs(first: 5) { nodes { id status } } campaigns(first: 5) { nodes { id } } }'),
    },
    content: {
      unaffected: campaign,
      half: half('campaigns', '{ campaigns(first: 5) { nodes { id } } notifications(first: 5) { nodes { id } } }'),
    },
    analytics: {
      unaffected: campaign,
      half: half('campaigns', '{ campaigns(first: 5) { nodes { id analytics { sent } } } }'),
    },
    queue: {
      unaffected: campaign,
      half: half('campaigns', '{ campaigns(first: 5) { nodes { id } } jobs(first: 5) { nodes { id status } } }'),
    },
  }
}
