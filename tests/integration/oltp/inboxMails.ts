import { expect } from '@jest/globals'
import { v7 as uuidv7 } from 'uuid'
import { makeMail } from '../../support/mails.ts'
import { type OltpTier, SERVICE, userOf } from './oltpTier.ts'
import type { Workspace } from './workspace.ts'

const SENT = `mutation ($input: RecordSentMessagesInput!) { recordSentMessages(input: $input) { id status } }`
const INGEST = `mutation ($input: IngestMessageInput!) {
  ingestMessage(input: $input) { duplicate message { id messageType isRead threadId parent { id } campaign { id }
    step { id } lead { id } emailAccount { id } } }
}`

/** The lead's address, as workspaces have it. */
export function leadEmail({ slug }: Workspace): string {
  return `lead@customer-${slug}.example`
}

/** Message-ID of a mail that the workspace's mailbox sent, as we make them. */
export function messageIdOf(id: string, { domain }: Workspace): string {
  return `${id.replaceAll('-', '')}@${domain}`
}

type SentParts = { sentAt?: Date; stepId?: string | null; to?: string; leadId?: string | null }

/** A mail that the workspace's campaign has sent to its lead; answers its id. */
export async function sendMail(tier: OltpTier, workspace: Workspace, parts: SentParts = {}): Promise<string> {
  const id = uuidv7()
  const { tenantId, campaignId, leadId, mailboxId: emailAccountId, domain } = workspace
  const { sentAt = new Date(Date.now() - 3_600_000), to = leadEmail(workspace) } = parts
  const raw = makeMail({
    messageId: messageIdOf(id, workspace),
    headers: { From: `sales@${domain}`, To: to, Subject: 'An offer' },
  })
  const item = {
    ...{ tenantId, id, campaignId, emailAccountId, raw, queuedAt: sentAt, sentAt },
    stepId: parts.stepId === undefined ? workspace.stepId : parts.stepId,
    leadId: parts.leadId === undefined ? leadId : parts.leadId,
  }
  const answer = await tier.ask(SENT, { input: { items: [item] } }, SERVICE)
  expect(answer).toEqual({ data: { recordSentMessages: [{ id, status: 'RECORDED' }] } })
  return id
}

type Ingested = {
  code?: string
  duplicate?: boolean
  // biome-ignore lint/suspicious/noExplicitAny: a test states the shape it expects
  message?: any
}

/** Takes in a raw mail, in base64, for the workspace. */
export async function ingest(tier: OltpTier, workspace: Workspace, raw: string): Promise<Ingested> {
  const answer = await tier.ask(INGEST, { input: { raw } }, userOf(workspace.tenantId))
  const code = answer.errors?.[0]?.extensions.code
  return { ...answer.data?.ingestMessage, ...(code && { code }) }
}

/** What the workspace's lead writes, in answer to a mail unless told otherwise. */
export function answerTo(id: string | null, workspace: Workspace, headers: Record<string, string> = {}): string {
  return makeMail({
    headers: {
      From: `Lee Lead <${leadEmail(workspace)}>`,
      To: `sales@${workspace.domain}`,
      Subject: 'Re: An offer',
      ...(id && { 'In-Reply-To': `<${messageIdOf(id, workspace)}>` }),
      ...headers,
    },
  })
}

/** Mails waiting to leave to the workspace's lead; answers their ids. */
export async function queueMails(tier: OltpTier, workspace: Workspace, campaignIds: (string | null)[]) {
  const { tenantId, mailboxId: emailAccountId, leadId } = workspace
  const rows = campaignIds.map((campaignId) => {
    const id = uuidv7()
    const place = { tenantId, id, emailAccountId, campaignId, leadId, threadId: id, dedupKey: id }
    return { ...place, direction: 'outbound', status: 'queued', isRead: true }
  })
  await tier.db.system.inboxMessageRef.createMany({ data: rows })
  return rows.map(({ id }) => id)
}

/** A message as it stands in the table. */
export async function messageRow(tier: OltpTier, id: string) {
  return tier.db.system.inboxMessageRef.findFirstOrThrow({ where: { id } })
}

/** Statements without the relay's, which looks into the outbox whenever it likes. */
export function withoutRelay(statements: string[]): string[] {
  return statements.filter((text) => !/(FROM|UPDATE) outbox_events|set_config|pg_notify/.test(text))
}

/** What was announced of these messages, in order. */
export async function eventsOf(tier: OltpTier, workspace: Workspace, ...ids: string[]): Promise<string[]> {
  const events = await tier.announced(workspace.tenantId)
  return events.filter(({ aggregateId }) => ids.includes(aggregateId)).map(({ eventType }) => eventType)
}
