import type { RecordSentMessageResult, SentMessageInput } from '#graphql/oltp'
import { runAsTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { readId } from '#platform/graph/ids.ts'
import { appendOutbox, type OutboxEventInput } from '#platform/outbox/append.ts'
import type { Context } from '../../context.ts'
import type { MessageRow } from '../rows.ts'
import { type Mailbox, makeEmailEvent } from './emailEvents.ts'
import { findKnownIds, insertMessages, makeMessageRow, readMailColumns } from './messageRows.ts'
import { findMailboxes, findReadiness } from './placement.ts'
import { type RawMail, readRawMail } from './rawMail.ts'
import { type StoredMail, storeMails } from './storedMail.ts'

const MAX_ITEMS = 100

type SentMail = { item: SentMessageInput; raw: RawMail }
type Recorded = { message: MessageRow; events: OutboxEventInput[] }

/**
 * Records mails that went out, with what became of them: content, then per tenant one transaction of references and
 * events. A message whose id (or mail) is known changes nothing, so a repeat is harmless.
 * @throws AppError LIMIT_REACHED above 100 items; INVALID_INPUT; NOT_FOUND for an unknown mailbox, campaign, step or lead
 *         (that tenant's items are not written then); UNAVAILABLE
 */
export async function recordSentMessages(
  context: Context,
  items: readonly SentMessageInput[],
): Promise<RecordSentMessageResult[]> {
  if (items.length > MAX_ITEMS) throw new AppError('LIMIT_REACHED', `items: at most ${MAX_ITEMS} at a time`)
  const mails = items.map((item) => ({ item: readIds(item), raw: readRawMail(item.raw, context.maxMessageBytes) }))
  const recorded = new Set<string>()
  for (const tenantId of new Set(mails.map(({ item }) => item.tenantId))) {
    const own = mails.filter(({ item }) => item.tenantId === tenantId)
    for (const id of await runAsTenant(tenantId, () => recordForTenant(context, tenantId, own))) recorded.add(id)
  }
  context.relay.wake()
  return mails.map(({ item }) => ({ id: item.id, status: recorded.has(item.id) ? 'recorded' : 'duplicate' }))
}

async function recordForTenant(context: Context, tenantId: string, given: readonly SentMail[]): Promise<Set<string>> {
  const { db, content, requestId } = context
  const [readiness, mailboxes, knownIds] = await Promise.all([
    findReadiness(db.tenantSql, null),
    findMailboxes(db.tenantSql, [...new Set(given.map(({ item }) => item.emailAccountId))]),
    findKnownIds(
      db.tenantSql,
      given.map(({ item }) => item.id),
    ),
  ])
  if (!readiness) throw new AppError('NOT_FOUND', 'tenantId: there is no such tenant')
  // A repeat may come with another raw mail (its date, say): what is not written must not be stored either.
  const fresh = given.filter(({ item }) => !knownIds.has(item.id))
  const mails = [...new Map(fresh.map((mail) => [mail.item.id, mail])).values()]
  for (const { item } of mails) {
    if (!mailboxes.has(item.emailAccountId)) throw new AppError('NOT_FOUND', 'emailAccountId: there is no such mailbox')
  }
  const stored = await storeMails(
    content,
    mails.map(({ raw }) => raw),
    { tenantId, requestId },
  )
  const rows = mails.map(({ item, raw }): Recorded => {
    const mail = stored.get(raw.storageKey)
    const mailbox = mailboxes.get(item.emailAccountId)
    if (!mail || !mailbox) throw new AppError('UNAVAILABLE', 'the content tier did not answer for every mail')
    return describeSent({ item, raw, mail, mailbox, timezone: readiness.timezone, requestId })
  })
  const work = db.tenantSql.transaction(
    async (tx) => {
      const written = await insertMessages(
        tx,
        rows.map(({ message }) => message),
      )
      await appendOutbox(
        tx,
        rows.filter(({ message }) => written.has(message.id)).flatMap(({ events }) => events),
      )
      return written
    },
    { retries: 2 },
  )
  return work.catch((error: unknown) => {
    throw isUnknownReference(error)
      ? new AppError('NOT_FOUND', 'an item names an unknown campaign, step or lead', { cause: error })
      : error
  })
}

type SentParts = {
  item: SentMessageInput
  raw: RawMail
  mail: StoredMail
  mailbox: Mailbox
  timezone: string
  requestId: string
}

function describeSent({ item, raw, mail, mailbox, timezone, requestId }: SentParts): Recorded {
  const happened = [
    { eventType: 'sent', status: 'sent', at: item.sentAt },
    { eventType: 'delivered', status: 'delivered', at: item.deliveredAt },
    { eventType: 'opened', status: 'opened', at: item.openedAt, openClass: item.openClass },
    { eventType: 'clicked', status: 'opened', at: item.clickedAt },
    { eventType: 'bounced', status: 'bounced', at: item.bouncedAt, bounceType: item.bounceType },
  ] as const
  const known = happened.flatMap(({ at, ...event }) => (at ? [{ ...event, at }] : []))
  const message = makeMessageRow({
    ...readMailColumns(raw, mail),
    id: item.id,
    threadId: item.id,
    emailAccountId: item.emailAccountId,
    campaignId: item.campaignId ?? null,
    stepId: item.stepId ?? null,
    leadId: item.leadId ?? null,
    direction: 'outbound',
    status: known.at(-1)?.status ?? 'queued',
    isRead: true,
    queuedAt: item.queuedAt,
    sentAt: item.sentAt ?? null,
    deliveredAt: item.deliveredAt ?? null,
    openedAt: item.openedAt ?? null,
    humanOpenedAt: item.openClass === 'human' ? (item.openedAt ?? null) : null,
    clickedAt: item.clickedAt ?? null,
    bouncedAt: item.bouncedAt ?? null,
    bounceType: item.bouncedAt ? item.bounceType : null,
    version: Math.max(1, known.length),
    createdAt: item.queuedAt,
  })
  const events = known.map(({ status: _, ...event }, index) =>
    makeEmailEvent({ ...event, message: { ...message, version: index + 1 }, mailbox, timezone, requestId }),
  )
  return { message, events }
}

function readIds(item: SentMessageInput): SentMessageInput {
  const optional = (id: string | null | undefined, field: string) => (id == null ? null : readId(id, field))
  return {
    ...item,
    tenantId: readId(item.tenantId, 'tenantId'),
    id: readId(item.id, 'id'),
    emailAccountId: readId(item.emailAccountId, 'emailAccountId'),
    campaignId: optional(item.campaignId, 'campaignId'),
    stepId: optional(item.stepId, 'stepId'),
    leadId: optional(item.leadId, 'leadId'),
  }
}

/** PostgreSQL's foreign key violation. */
function isUnknownReference(error: unknown): boolean {
  return (error as { code?: string } | null)?.code === '23503'
}
