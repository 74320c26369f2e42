import type { ServiceClient } from '#platform/graph/serviceClient.ts'
import { makeMail } from '../support/mails.ts'
import type { TestTenant } from '../support/tenants.ts'

const RECORD = 'mutation record($input: RecordSentMessagesInput!) { recordSentMessages(input: $input) { status } }'

/** Records one mail that the tenant's campaign sent, delivered and opened; its Message-ID is `<id@tenant>`. */
export async function recordSentMail(oltp: ServiceClient, tenant: TestTenant, id: string): Promise<string> {
  const messageId = `${id}@${tenant.mailbox.split('@')[1]}`
  const item = {
    tenantId: tenant.tenantId,
    id,
    emailAccountId: tenant.emailAccountId,
    campaignId: tenant.campaignId,
    stepId: tenant.stepId,
    leadId: tenant.leadId,
    raw: makeMail({ messageId, headers: { From: tenant.mailbox, To: tenant.leadEmail, Subject: 'Hello Lea' } }),
    queuedAt: '2026-11-20T08:00:00.000Z',
    sentAt: '2026-11-20T08:01:00.000Z',
    deliveredAt: '2026-11-20T08:02:00.000Z',
    openedAt: '2026-11-20T09:00:00.000Z',
  }
  await oltp.request(RECORD, { input: { items: [item] } })
  return messageId
}
