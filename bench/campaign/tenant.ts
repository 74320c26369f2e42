import { v7 as uuidv7 } from 'uuid'
import { DEMO_TENANTS } from '#platform/contracts/demo.ts'
import type { ServiceClient } from '#platform/graph/serviceClient.ts'

const PROVISION = 'mutation ($input: ProvisionTenantInput!) { provisionTenant(input: $input) { created } }'
const LEADS_PER_CALL = 1_000
const MAILS_PER_DOMAIN = 1_000

/** A draft of a campaign to so many leads, from as many domains as may send to them in a day; answers its id. */
export async function foundCampaign(
  oltp: ServiceClient,
  { leads, mailboxes, smtpPort }: { leads: number; mailboxes: number; smtpPort: number },
): Promise<string> {
  const [companyId, templateId, campaignId] = [uuidv7(), uuidv7(), uuidv7()]
  const tenant = { id: DEMO_TENANTS.demo, name: 'Bench', slug: 'bench' }
  const domains = Array.from({ length: Math.ceil(leads / MAILS_PER_DOMAIN) }, (_, index) => ({
    ...{ id: uuidv7(), companyId, domain: `d${index}.bench.example`, verificationStatus: 'VERIFIED' },
  }))
  const emailAccounts = domains.flatMap((domain) =>
    Array.from({ length: Math.ceil(mailboxes / domains.length) }, (_, index) => ({
      ...{
        id: uuidv7(),
        domainId: domain.id,
        email: `m${index}@${domain.domain}`,
        status: 'ACTIVE',
        dailyLimit: 1_000,
      },
      smtpSettings: { host: '127.0.0.1', port: smtpPort },
    })),
  )
  const templates = [
    {
      ...{ id: templateId, name: 'Hello', subject: 'A question about {{ lead.company }}' },
      bodyText: 'Dear {{ lead.name }},\n\nmore at https://bench.example/.\n\nLeave: {{ unsubscribe_url }}',
      bodyHtml: `<p>Dear {{ lead.name }},</p><p>${'what we do for companies like yours. '.repeat(20)}<a href="https://bench.example/">More</a>.</p><p><a href="{{ unsubscribe_url }}">Leave</a></p>`,
    },
  ]
  const steps = [{ id: uuidv7(), stepOrder: 1, stepType: 'EMAIL', templateId }]
  const campaign = { id: campaignId, companyId, name: 'Bench', steps }
  const input = { tenant, companies: [{ id: companyId, name: 'Bench' }], domains, emailAccounts, templates }
  await oltp.request(PROVISION, { input: { ...input, campaigns: [campaign] } }, { timeoutMs: 60_000 })
  for (let from = 0; from < leads; from += LEADS_PER_CALL) {
    const part = Array.from({ length: Math.min(LEADS_PER_CALL, leads - from) }, (_, index) => ({
      ...{
        id: uuidv7(),
        email: `p${from + index}@company${index}.example`,
        name: `Lee ${index}`,
        company: `C ${index}`,
      },
    }))
    const enrollments = part.map(({ id }) => ({ id: uuidv7(), leadId: id }))
    // Steps that are there stay; what a campaign's entry adds are enrollments.
    const enrolled = [{ ...campaign, steps: [], enrollments }]
    await oltp.request(PROVISION, { input: { tenant, leads: part, campaigns: enrolled } }, { timeoutMs: 60_000 })
  }
  return campaignId
}
