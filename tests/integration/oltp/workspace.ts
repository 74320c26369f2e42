import { randomUUID } from 'node:crypto'
import { expect } from '@jest/globals'
import { v7 as uuidv7 } from 'uuid'
import { type OltpTier, SERVICE } from './oltpTier.ts'

/** Ids of a small tenant. */
export type Workspace = ReturnType<typeof makeWorkspace>

const PROVISION = `mutation ($input: ProvisionTenantInput!) { provisionTenant(input: $input) { tenantId created } }`

/** Founds a tenant with one or two of everything; every name is its own. */
export async function foundTenant(tier: OltpTier, workspace = makeWorkspace()): Promise<Workspace> {
  const answer = await tier.ask(PROVISION, { input: workspace.input }, SERVICE)
  expect(answer).toEqual({ data: { provisionTenant: { tenantId: workspace.tenantId, created: true } } })
  return workspace
}

/** Counted, as two tenants must not meet at one address. */
let founded = 0

/** A tenant to be founded: the input of `provisionTenant`, and the ids in it. */
export function makeWorkspace() {
  const slug = `t${randomUUID().slice(0, 8)}`
  founded += 1
  const ids = {
    tenantId: uuidv7(),
    userId: uuidv7(),
    companyId: uuidv7(),
    domainId: uuidv7(),
    mailboxId: uuidv7(),
    pausedMailboxId: uuidv7(),
    leadId: uuidv7(),
    templateId: uuidv7(),
    campaignId: uuidv7(),
    stepId: uuidv7(),
    enrollmentId: uuidv7(),
    serverId: uuidv7(),
    addressId: uuidv7(),
    assignmentId: uuidv7(),
  }
  const domain = `${slug}.example`
  const input = {
    tenant: { id: ids.tenantId, name: `Tenant ${slug}`, slug, timezone: 'Europe/Berlin' },
    users: [{ id: ids.userId, email: `Ada@${domain}`, name: 'Ada', roles: ['OWNER', 'VIEWER'] }],
    companies: [{ id: ids.companyId, name: 'Company' }],
    domains: [{ id: ids.domainId, companyId: ids.companyId, domain: domain.toUpperCase(), isPrimary: true }],
    emailAccounts: [
      // The paused one is older: the default mailbox is the oldest that is active.
      {
        id: ids.pausedMailboxId,
        domainId: ids.domainId,
        email: `old@${domain}`,
        status: 'PAUSED',
        createdAt: '2026-01-01T00:00:00Z',
      },
      { id: ids.mailboxId, domainId: ids.domainId, email: `Sales@${domain}`, createdAt: '2026-01-02T00:00:00Z' },
    ],
    leads: [{ id: ids.leadId, email: `Lead@customer-${slug}.example`, name: 'Lee' }],
    templates: [{ id: ids.templateId, name: 'Hello', subject: 'Hi {{lead.name}}', folder: 'Intro', tags: ['new'] }],
    campaigns: [
      {
        id: ids.campaignId,
        companyId: ids.companyId,
        name: 'Spring',
        status: 'SENDING',
        steps: [{ id: ids.stepId, stepOrder: 1, templateId: ids.templateId, emailAccountId: ids.mailboxId }],
        enrollments: [{ id: ids.enrollmentId, leadId: ids.leadId }],
      },
    ],
    subscription: {
      id: uuidv7(),
      planCode: 'starter',
      periodStartAt: '2026-11-01T00:00:00Z',
      periodEndAt: '2026-12-01T00:00:00Z',
    },
    vpsInstances: [{ id: ids.serverId, provider: 'test', providerInstanceId: slug, region: 'fra1', monthlyCost: 24.5 }],
    smtpIpAddresses: [
      { id: ids.addressId, vpsInstanceId: ids.serverId, ipAddress: `10.${founded >> 8}.${founded & 255}.1` },
    ],
    domainIpAssignments: [{ id: ids.assignmentId, domainId: ids.domainId, smtpIpAddressId: ids.addressId }],
  }
  return { ...ids, slug, domain, input }
}
