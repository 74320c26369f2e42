import { v7 as uuidv7 } from 'uuid'
import { DEMO_OWNERS, DEMO_TENANTS, type DemoTenant } from '#platform/contracts/demo.ts'
import type { ServiceClient } from '#platform/graph/serviceClient.ts'

export type CampaignTenant = {
  tenantId: string
  companyId: string
  campaignId: string
  mailboxes: { id: string; email: string }[]
  leads: { id: string; email: string }[]
  stepIds: string[]
}

export type CampaignParts = {
  tenant?: DemoTenant
  smtpPort: number
  leads?: number
  /** Addresses of the leads, instead of a number of them. */
  leadEmails?: readonly string[]
  mailboxes?: number
  domains?: number
  dailyLimit?: number
  dailyCap?: number
  sendingWindow?: object | null
  steps?: { waitHours?: number; condition?: string; stepType?: string; subjectOverride?: string }[]
}

const PROVISION = 'mutation found($input: ProvisionTenantInput!) { provisionTenant(input: $input) { created } }'

/** Founds a demo tenant with mailboxes that send to a port of this machine, leads, and a draft of a campaign to them. */
export async function foundCampaignTenant(oltp: ServiceClient, parts: CampaignParts): Promise<CampaignTenant> {
  const { tenant = 'demo', smtpPort, leads = 5, mailboxes = 2, domains = 1, dailyLimit = 1_000 } = parts
  const emails = parts.leadEmails ?? Array.from({ length: leads }, (_, index) => `lead${index}@customers.example`)
  const { sendingWindow = null, dailyCap, steps = [{}] } = parts
  const { id: userId, email, name } = DEMO_OWNERS[tenant]
  const [companyId, templateId, campaignId] = [uuidv7(), uuidv7(), uuidv7()]
  const domainIds = Array.from({ length: domains }, () => uuidv7())
  const made = {
    mailboxes: Array.from({ length: mailboxes }, (_, index) => ({
      ...{ id: uuidv7(), email: `sender${index}@d${index % domains}.${tenant}.example` },
    })),
    leads: emails.map((address) => ({ id: uuidv7(), email: address })),
    stepIds: steps.map(() => uuidv7()),
  }
  const input = {
    tenant: { id: DEMO_TENANTS[tenant], name: tenant, slug: tenant },
    users: [{ id: userId, email, name, roles: ['OWNER'] }],
    companies: [{ id: companyId, name: `${tenant} company` }],
    domains: domainIds.map((id, index) => ({
      ...{ id, companyId, domain: `d${index}.${tenant}.example`, verificationStatus: 'VERIFIED' },
    })),
    emailAccounts: made.mailboxes.map((mailbox, index) => ({
      ...{ ...mailbox, domainId: domainIds[index % domains], status: 'ACTIVE', dailyLimit },
      smtpSettings: { host: '127.0.0.1', port: smtpPort },
    })),
    leads: made.leads.map((lead, index) => ({ ...lead, name: `Lee ${index}` })),
    templates: [
      {
        ...{ id: templateId, name: 'Hello', subject: 'Hello {{ lead.name }}' },
        bodyText: 'Dear {{ lead.name }}, more at https://demo.example/. Leave: {{ unsubscribe_url }}',
        bodyHtml:
          '<p>Dear {{ lead.name }}, <a href="https://demo.example/">more</a>. <a href="{{ unsubscribe_url }}">Leave</a></p>',
      },
    ],
    campaigns: [
      {
        ...{ id: campaignId, companyId, name: 'Spring', sendingWindow, dailyCap },
        steps: steps.map(({ stepType = 'EMAIL', ...step }, index) => ({
          ...{ id: made.stepIds[index], stepOrder: index + 1, stepType, ...step },
          ...(stepType === 'EMAIL' && { templateId }),
        })),
        enrollments: made.leads.map(({ id }) => ({ id: uuidv7(), leadId: id })),
      },
    ],
  }
  await oltp.request(PROVISION, { input }, { timeoutMs: 60_000 })
  return { tenantId: DEMO_TENANTS[tenant], companyId, campaignId, ...made }
}
