import { DEMO_OWNERS, DEMO_TENANTS, type DemoTenant } from '#platform/contracts/demo.ts'
import type { ServiceClient } from '#platform/graph/serviceClient.ts'

/** Ids of what `foundTenant` made: one of each thing that the mail flow touches. */
export type TestTenant = ReturnType<typeof planTenant>

const PROVISION = 'mutation found($input: ProvisionTenantInput!) { provisionTenant(input: $input) { created } }'

/** Founds a demo tenant with one company, domain, mailbox, lead, template and campaign; through oltp's own door. */
export async function foundTenant(oltp: ServiceClient, tenant: DemoTenant): Promise<TestTenant> {
  const plan = planTenant(tenant)
  const { id: userId, email, name } = DEMO_OWNERS[tenant]
  const input = {
    tenant: { id: DEMO_TENANTS[tenant], name: tenant, slug: tenant },
    users: [{ id: userId, email, name, emailVerifiedAt: '2026-01-01T00:00:00Z', roles: ['OWNER'] }],
    companies: [{ id: plan.companyId, name: `${tenant} company` }],
    domains: [{ id: plan.domainId, companyId: plan.companyId, domain: `${tenant}.example` }],
    emailAccounts: [{ id: plan.emailAccountId, domainId: plan.domainId, email: plan.mailbox }],
    leads: [{ id: plan.leadId, email: plan.leadEmail, name: 'Lea Lead' }],
    templates: [{ id: plan.templateId, name: 'Hello', subject: 'Hello {{lead.name}}', bodyText: 'Hello' }],
    campaigns: [
      {
        id: plan.campaignId,
        companyId: plan.companyId,
        name: `${tenant} campaign`,
        steps: [{ id: plan.stepId, stepOrder: 1, templateId: plan.templateId, emailAccountId: plan.emailAccountId }],
      },
    ],
  }
  await oltp.request(PROVISION, { input })
  return plan
}

function planTenant(tenant: DemoTenant) {
  // The same ids in every run, told apart by the tenant's last digits: a failing test can be read.
  const id = (kind: number) => `01930000-0000-7000-8000-0000000${kind}${DEMO_TENANTS[tenant].slice(-4)}`
  return {
    tenantId: DEMO_TENANTS[tenant],
    companyId: id(1),
    domainId: id(2),
    emailAccountId: id(3),
    mailbox: `sales@${tenant}.example`,
    leadId: id(4),
    leadEmail: `lea@lead-of-${tenant}.example`,
    templateId: id(5),
    campaignId: id(6),
    stepId: id(7),
  }
}
