import { DEMO_OWNERS, DEMO_TENANTS, type DemoTenant } from '#platform/contracts/demo.ts'

/** How much data one tenant gets. */
export type Size = {
  leads: number
  /** Campaigns with history; one more, a draft ready to launch, always comes with them. */
  campaigns: number
  /** Mails each campaign with history has sent. */
  sentPerCampaign: number
  /** Real mails of the corpus that arrive as replies to each campaign. */
  repliesPerCampaign: number
  /** Real mails of the corpus that arrive on their own. */
  corpusMails: number
}

export type TenantPlan = {
  tenantId: string
  slug: string
  name: string
  timezone: string
  owner: { id: string; email: string; name: string }
  seed: number
  size: Size
}

const DEMO_SIZE: Size = { leads: 60, campaigns: 1, sentPerCampaign: 120, repliesPerCampaign: 14, corpusMails: 186 }
const RIVAL_SIZE: Size = { leads: 20, campaigns: 1, sentPerCampaign: 30, repliesPerCampaign: 4, corpusMails: 26 }

/** The two tenants every first start gets. */
export const DEMO_PLANS: readonly TenantPlan[] = [
  demoPlan('demo', 'Demo Outreach', 'Europe/Berlin', 1, DEMO_SIZE),
  demoPlan('rival', 'Rival Growth', 'America/New_York', 2, RIVAL_SIZE),
]

function demoPlan(slug: DemoTenant, name: string, timezone: string, seed: number, size: Size): TenantPlan {
  return { tenantId: DEMO_TENANTS[slug], slug, name, timezone, owner: DEMO_OWNERS[slug], seed, size }
}
