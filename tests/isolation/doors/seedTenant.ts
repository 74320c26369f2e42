import { v7 as uuidv7 } from 'uuid'
import { DEMO_OWNERS, DEMO_TENANTS, type DemoTenant } from '#platform/contracts/demo.ts'
import type { TestPlatform } from '../../support/graph.ts'
import { makeMail } from '../../support/mails.ts'
import type { SeededTenant } from './world.ts'

const PROVISION = 'mutation ($input: ProvisionTenantInput!) { provisionTenant(input: $input) { created } }'
const RECORD = 'mutation ($input: RecordSentMessagesInput!) { recordSentMessages(input: $input) { status } }'
const NOTIFY =
  'mutation ($items: [DeliverNotificationInput!]!) { deliverNotifications(notifications: $items) { status } }'
const INGEST = 'mutation ($input: IngestMessageInput!) { ingestMessage(input: $input) { message { id } } }'
const CREATE = 'mutation ($input: CreateCampaignInput!) { createCampaign(input: $input) { campaign { id } } }'

/** The mail that both tenants get, byte for byte: one storage key in both. */
export const SHARED_MAIL = makeMail({
  messageId: 'newsletter@elsewhere.example',
  headers: { Subject: 'For all of you' },
})

/** Ids of what `foundTenant` makes. */
export type Plan = ReturnType<typeof planTenant>

export function planTenant(slug: DemoTenant) {
  const id = () => uuidv7()
  return {
    ...{ slug, tenantId: DEMO_TENANTS[slug], userId: DEMO_OWNERS[slug].id, companyId: id(), domainId: id() },
    ...{ mailboxId: id(), leadId: id(), templateId: id(), campaignId: id(), stepId: id(), enrollmentId: id() },
    ...{ subscriptionId: id(), serverId: id(), addressId: id(), assignmentId: id(), messageId: id() },
  }
}

/** A tenant with one of everything that a service or a user can make. Every name in it is the tenant's own. */
export async function foundTenant(platform: TestPlatform, plan: Plan): Promise<void> {
  const { slug, tenantId, userId, companyId, domainId, templateId, mailboxId, leadId } = plan
  const { email, name } = DEMO_OWNERS[slug]
  const address = `10.${slug === 'demo' ? 1 : 2}.0.1`
  const input = {
    tenant: { id: tenantId, name: `${slug} tenant`, slug: `${slug}-tenant`, timezone: 'Europe/Berlin' },
    users: [{ id: userId, email, name, givenName: `${slug} given`, emailVerifiedAt: daysAgo(5), roles: ['OWNER'] }],
    companies: [{ id: companyId, name: `${slug} company`, workspaceName: `${slug} workspace` }],
    domains: [{ id: domainId, companyId, domain: `${slug}.example`, isPrimary: true }],
    emailAccounts: [{ id: mailboxId, domainId, email: mailboxOf(slug), displayName: `${slug} sales` }],
    leads: [{ id: plan.leadId, email: leadOf(slug), name: `${slug} lead`, custom: { note: `${slug} note` } }],
    templates: [
      {
        ...{ id: templateId, name: `${slug} hello`, folder: `${slug} box`, tags: [`${slug} tag`] },
        ...{ subject: `${slug} hi`, bodyText: `${slug} text` },
      },
    ],
    campaigns: [
      {
        ...{ id: plan.campaignId, companyId, name: `${slug} spring`, description: `${slug} plan`, status: 'SENDING' },
        steps: [{ id: plan.stepId, stepOrder: 1, templateId, emailAccountId: mailboxId }],
        enrollments: [{ id: plan.enrollmentId, leadId }],
      },
    ],
    subscription: {
      id: plan.subscriptionId,
      planCode: 'professional',
      periodStartAt: daysAgo(10),
      periodEndAt: daysAgo(-20),
    },
    vpsInstances: [
      { id: plan.serverId, provider: 'test', providerInstanceId: `${slug} server`, region: `${slug} land` },
    ],
    smtpIpAddresses: [{ id: plan.addressId, vpsInstanceId: plan.serverId, ipAddress: address }],
    domainIpAssignments: [{ id: plan.assignmentId, domainId, smtpIpAddressId: plan.addressId }],
  }
  await platform.tierClient('oltp').request(PROVISION, { input })
}

/** Mail out and in, a notification, an audited change: each through the product's own doors. */
export async function useTenant(platform: TestPlatform, plan: Plan, as: SeededTenant['as']): Promise<void> {
  const { slug, tenantId, userId } = plan
  await platform.tierClient('oltp').request(RECORD, { input: { items: [sentMail(plan)] } })
  const ask = async (query: string, input: object) => {
    const { errors } = await platform.ask(query, { input }, as)
    if (errors) throw new Error(`${query}: ${JSON.stringify(errors)}`)
  }
  await ask(INGEST, { raw: reply(slug), idempotencyKey: `${slug} reply key` })
  await ask(INGEST, { raw: SHARED_MAIL })
  await ask(CREATE, { companyId: plan.companyId, name: `${slug} autumn`, idempotencyKey: `${slug} campaign key` })
  const item = {
    key: `${slug} told`,
    tenantId,
    userId,
    type: `${slug}_news`,
    title: `${slug} news`,
    message: `${slug} text`,
  }
  await platform.tierClient('content').request(NOTIFY, { items: [item] })
}

/** Words that are stored sealed, so no row shows them. */
export function sealedTexts(slug: DemoTenant): string[] {
  return [`${slug} answer in private`, `${slug} offer in private`, `${slug} file in private`]
}

export function daysAgo(days: number): string {
  return new Date(Date.now() - days * 86_400_000).toISOString()
}

function sentMail({ tenantId, messageId, mailboxId, campaignId, stepId, leadId, slug }: Plan) {
  const headers = { From: mailboxOf(slug), To: leadOf(slug), Subject: `${slug} offer` }
  return {
    ...{ tenantId, id: messageId, emailAccountId: mailboxId, campaignId, stepId, leadId },
    raw: makeMail({ messageId: `offer@${slug}.example`, headers, body: `${slug} offer in private` }),
    ...{
      queuedAt: daysAgo(2),
      sentAt: daysAgo(2),
      deliveredAt: daysAgo(2),
      openedAt: daysAgo(1),
      clickedAt: daysAgo(1),
    },
  }
}

/** The lead's answer to it, with a file. */
function reply(slug: DemoTenant): string {
  const part = (type: string, text: string) => `--b\r\nContent-Type: ${type}\r\n\r\n${text}\r\n`
  const file = `text/plain\r\nContent-Disposition: attachment; filename="${slug} terms.txt"`
  return makeMail({
    messageId: `answer@lead-of-${slug}.example`,
    headers: {
      ...{ From: leadOf(slug), To: mailboxOf(slug), Subject: `Re: ${slug} offer` },
      ...{ 'In-Reply-To': `<offer@${slug}.example>`, 'Content-Type': 'multipart/mixed; boundary="b"' },
    },
    body: `${part('text/plain', `${slug} answer in private`)}${part(file, `${slug} file in private`)}--b--`,
  })
}

function mailboxOf(slug: DemoTenant): string {
  return `sales@${slug}.example`
}

function leadOf(slug: DemoTenant): string {
  return `lea@lead-of-${slug}.example`
}
