import type { MailServer } from '#platform/contracts/mailServers.ts'
import type { TenantPlan } from './plan.ts'
import type { Random } from './random.ts'

/** Everything of a tenant but its mail: the input of oltp's `provisionTenant`. */
export type Workspace = ReturnType<typeof makeWorkspace>
export type Campaign = Workspace['campaigns'][number]

const DAY_MS = 86_400_000
const UNSUBSCRIBE = '\n\nNot for you? Unsubscribe here: {{unsubscribe_url}}\n'

/**
 * A made-up workspace of the plan's size: one company, two domains with two mailboxes each, leads, templates,
 * campaigns with history and one draft that can be launched. Mailboxes send to `smtp`; dates are counted back from `now`.
 */
export function makeWorkspace(random: Random, plan: TenantPlan, { smtp, now }: { smtp: MailServer; now: Date }) {
  const { fake } = random
  const daysAgo = (days: number) => new Date(now.getTime() - days * DAY_MS).toISOString()
  const company = { id: random.id(), name: plan.name, workspaceName: plan.name }
  const domains = [`${plan.slug}-mail.example`, `try-${plan.slug}.example`].map((domain, index) => ({
    id: random.id(),
    companyId: company.id,
    domain,
    isPrimary: index === 0,
    verificationStatus: 'VERIFIED',
    dnsRecords: dnsRecordsOf(domain),
  }))
  const emailAccounts = domains.flatMap((domain) =>
    Array.from({ length: 2 }, () => {
      const person = { first: fake.person.firstName(), last: fake.person.lastName() }
      const local = `${person.first}.${person.last}`.toLowerCase().replace(/[^a-z.]/g, '')
      return {
        id: random.id(),
        domainId: domain.id,
        email: `${local}@${domain.domain}`,
        displayName: `${person.first} ${person.last}`,
        // No vaultKeyPath: the sandbox asks for no password.
        smtpSettings: smtp,
        status: 'ACTIVE',
        warmupStatus: 'COMPLETED',
        warmupStartedAt: daysAgo(60),
        createdAt: daysAgo(61),
      }
    }),
  )
  const leads = makeLeads(random, plan.size.leads, daysAgo(45))
  const templates = makeTemplates(random)
  const stepsOf = (sender: number) =>
    templates.slice(0, 2).map((template, index) => ({
      id: random.id(),
      stepOrder: index + 1,
      stepType: 'EMAIL',
      templateId: template.id,
      emailAccountId: emailAccounts[(sender + index) % emailAccounts.length]?.id,
      waitHours: index * 72,
      condition: index === 0 ? 'ALWAYS' : 'IF_NOT_REPLIED',
    }))
  const enroll = (status: string) =>
    leads.map((lead) => ({ id: random.id(), leadId: lead.id, currentStepOrder: status === 'ACTIVE' ? 0 : 2, status }))
  const window = { days: [1, 2, 3, 4, 5], from: '09:00', to: '17:00' }
  const shared = { companyId: company.id, sendingWindow: window, timezone: plan.timezone }
  const withHistory = Array.from({ length: plan.size.campaigns }, (_, index) => ({
    ...shared,
    id: random.id(),
    name: `${fake.commerce.productAdjective()} teams, ${fake.date.month()} outreach`,
    description: 'Introduces the product and follows up once.',
    status: 'COMPLETED',
    startedAt: daysAgo(30),
    completedAt: daysAgo(1),
    createdAt: daysAgo(40),
    steps: stepsOf(index),
    enrollments: enroll('COMPLETED'),
  }))
  const draft = {
    ...shared,
    id: random.id(),
    name: `Next: ${fake.company.buzzPhrase()}`,
    description: 'Ready to launch.',
    status: 'DRAFT',
    createdAt: daysAgo(44),
    steps: stepsOf(0),
    enrollments: enroll('ACTIVE'),
  }
  return {
    tenant: { id: plan.tenantId, name: plan.name, slug: plan.slug, timezone: plan.timezone },
    users: [{ ...plan.owner, emailVerifiedAt: daysAgo(90), roles: ['OWNER'] }, makeColleague(random, plan)],
    companies: [company],
    domains,
    emailAccounts,
    leads,
    templates,
    campaigns: [...withHistory, draft],
    subscription: {
      id: random.id(),
      planCode: 'professional',
      periodStartAt: daysAgo(10),
      periodEndAt: daysAgo(-20),
    },
    ...makeServers(random, plan, domains, daysAgo),
  }
}

function makeLeads(random: Random, count: number, createdAt: string) {
  const { fake } = random
  return Array.from({ length: count }, (_, index) => {
    const [first, last] = [fake.person.firstName(), fake.person.lastName()]
    const company = fake.company.name()
    const host = `${company.toLowerCase().replace(/[^a-z]+/g, '-')}.example`
    return {
      id: random.id(),
      email: `${first}.${last}.${index + 1}@${host}`.toLowerCase().replace(/[^a-z0-9.@-]/g, ''),
      name: `${first} ${last}`,
      company,
      title: fake.person.jobTitle(),
      custom: { industry: fake.commerce.department() },
      createdAt,
    }
  })
}

function makeTemplates(random: Random) {
  const bodies = [
    [
      'A question about {{lead.company}}',
      'Hi {{lead.name}},\n\nhow does {{lead.company}} keep its outreach in one place?',
    ],
    ['Following up', 'Hi {{lead.name}},\n\nI wrote a few days ago. Is this something for {{lead.company}}?'],
    ['A short case study', 'Hi {{lead.name}},\n\nthree numbers from a team like yours.'],
  ] as const
  return bodies.map(([subject, text]) => ({
    id: random.id(),
    name: subject.replace(' {{lead.company}}', ' the company'),
    subject,
    bodyText: text + UNSUBSCRIBE,
    bodyHtml: `<p>${text.replaceAll('\n\n', '</p><p>')}</p><p><a href="{{unsubscribe_url}}">Unsubscribe</a></p>`,
    folder: 'Outreach',
    tags: ['demo'],
  }))
}

function makeColleague(random: Random, plan: TenantPlan) {
  const name = random.fake.person.fullName()
  return { id: random.id(), email: `viewer@${plan.slug}.example`, name, roles: ['VIEWER'] }
}

/** One server with one shared address that both domains send from. Addresses are from 198.18.0.0/15, kept for tests. */
function makeServers(random: Random, plan: TenantPlan, domains: { id: string }[], daysAgo: (days: number) => string) {
  const ipAddress = `198.18.${plan.seed % 256}.${random.fake.number.int({ min: 1, max: 254 })}`
  const vps = {
    id: random.id(),
    provider: 'demo',
    providerInstanceId: `demo-${plan.slug}`,
    ipAddress,
    region: random.fake.helpers.arrayElement(['fra1', 'nyc3', 'ams3']),
    monthlyCost: 24,
  }
  const address = { id: random.id(), vpsInstanceId: vps.id, ipAddress, warmupStartedAt: daysAgo(60) }
  return {
    vpsInstances: [vps],
    smtpIpAddresses: [address],
    domainIpAssignments: domains.map((domain) => ({
      id: random.id(),
      domainId: domain.id,
      smtpIpAddressId: address.id,
      assignedAt: daysAgo(60),
    })),
  }
}

function dnsRecordsOf(domain: string) {
  return {
    spf: { type: 'TXT', name: domain, value: 'v=spf1 include:_spf.penguinmails.example -all', verified: true },
    dkim: { type: 'TXT', name: `pm1._domainkey.${domain}`, value: 'v=DKIM1; k=rsa; p=', verified: true },
    dmarc: { type: 'TXT', name: `_dmarc.${domain}`, value: 'v=DMARC1; p=quarantine', verified: true },
    mx: { type: 'MX', name: domain, value: '10 mx.penguinmails.example', verified: true },
  }
}
