import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import type { OutboxEventInput } from '#platform/outbox/append.ts'
import { applyBrakes, type HeldBrakes, holdBrakes } from '../brakes/brakes.ts'
import { lockLeavingLeads } from '../leads/leadFarewells.ts'
import { type Suppressing, suppress } from '../leads/suppressions.ts'
import { holdLeads } from '../sending/holdLeads.ts'
import { type BouncedMail, recordBounces } from './bounces.ts'
import { makeEmailEvent } from './emailEvents.ts'
import type { Meaning } from './meaning.ts'
import type { AnsweredMessage } from './placement.ts'
import { recordReplies } from './replies.ts'
import { settleUnknown } from './settleUnknown.ts'

/** A meaning, the inbound message that has it, and when it came. */
export type Answer = { meaning: Meaning; messageId: string; at: Date }

/** Of whom an event tells: the tenant's timezone, and the request that it belongs to. */
export type About = { timezone: string; requestId: string }

/** Holds what the brakes may stop by answers; before anything is written, since everybody takes that first. */
export function holdAnswered(tx: Queryable, meanings: readonly Meaning[]): Promise<HeldBrakes> {
  const bad = meanings.filter(({ kind }) => kind === 'bounce' || kind === 'complaint')
  return holdBrakes(
    tx,
    bad.map(({ message }) => message),
  )
}

/**
 * Has inbound mails take their effect on the mails that they answer, in the transaction in which they are written and in
 * a fixed number of statements, however many: replies and reports change those mails, end enrollments, suppress
 * addresses and pull brakes. Each happens once, however often it is told. Answers the events to announce.
 * @param tx of `transact`
 * @param held what brakes may stop, held before anything was written: see `holdAnswered`
 */
export async function applyAnswers(
  tx: Queryable,
  answers: readonly Answer[],
  held: HeldBrakes,
  about: About,
): Promise<OutboxEventInput[]> {
  const of = (...kinds: Meaning['kind'][]) => answers.filter(({ meaning }) => kinds.includes(meaning.kind))
  const messages = answers.map(({ meaning }) => meaning.message)
  await holdLeads(tx, {
    messageIds: messages.map(({ id }) => id),
    leadIds: messages.flatMap(({ leadId }) => leadId ?? []),
    emails: messages.flatMap(({ toEmail }) => toEmail ?? []),
  })
  const events = [
    ...(await settleUnknown(tx, messages, about)),
    ...(await recordReplies(tx, of('reply').map(readTarget), about)),
    ...(await recordDeliveries(tx, of('delivery').map(readTarget), about)),
    ...(await recordBounces(tx, of('bounce').map(readBounce), about)),
    ...(await recordFarewells(tx, of('complaint', 'unsubscribe'), about)),
  ]
  const at = new Date(Math.max(...answers.map((answer) => answer.at.getTime())))
  await applyBrakes(tx, held, { at, requestId: about.requestId })
  return events
}

function readTarget({ meaning, at }: Answer) {
  return { message: meaning.message, at }
}

function readBounce({ meaning, messageId, at }: Answer): BouncedMail {
  const bounceType = meaning.kind === 'bounce' ? meaning.bounceType : 'soft'
  return { message: meaning.message, bounceType, at, sourceMessageId: messageId }
}

// One that we had heard nothing of has arrived; the later states of its life say so already.
const MARK_DELIVERED = `
  UPDATE inbox_message_refs r
  SET delivered_at = d.at, status = CASE r.status WHEN 'sent' THEN 'delivered' ELSE r.status END, version = r.version + 1
  FROM jsonb_to_recordset($2::jsonb) AS d (id uuid, at timestamptz(3))
  WHERE r.tenant_id = $1 AND r.id = d.id AND r.delivered_at IS NULL AND r.bounced_at IS NULL
  RETURNING r.id, r.version`

async function recordDeliveries(
  tx: Queryable,
  told: readonly { message: AnsweredMessage; at: Date }[],
  about: About,
): Promise<OutboxEventInput[]> {
  if (told.length === 0) return []
  const byId = new Map(told.map((one) => [one.message.id, one]))
  const rows = [...byId].map(([id, { at }]) => ({ id, at }))
  const marked = await tx.query<{ id: string; version: number }>(MARK_DELIVERED, [
    currentTenant(),
    JSON.stringify(rows),
  ])
  return marked.rows.flatMap(({ id, version }) => {
    const { message, at } = byId.get(id) ?? {}
    if (!message || !at) return []
    return [
      makeEmailEvent({
        eventType: 'delivered',
        at,
        message: { ...message, version },
        mailbox: message.mailbox,
        ...about,
      }),
    ]
  })
}

const MARK_LEFT = `
  WITH told AS (
    SELECT * FROM jsonb_to_recordset($2::jsonb) AS t (id uuid, at timestamptz(3), "isComplaint" boolean)
  ), before AS (
    SELECT r.id FROM told JOIN inbox_message_refs r ON r.tenant_id = $1 AND r.id = told.id
    WHERE CASE WHEN "isComplaint" THEN r.complained_at ELSE r.unsubscribed_at END IS NULL
    ORDER BY r.id FOR UPDATE OF r
  )
  UPDATE inbox_message_refs r
  SET complained_at = CASE WHEN "isComplaint" THEN told.at ELSE r.complained_at END,
      unsubscribed_at = CASE WHEN "isComplaint" THEN r.unsubscribed_at ELSE told.at END, version = r.version + 1
  FROM told JOIN before USING (id) WHERE r.tenant_id = $1 AND r.id = told.id
  RETURNING r.id, r.version`

/**
 * Those who complain, and those who ask by mail not to be written to any more: not at the address that was written to, nor
 * at the one that the lead has now. Who has left already, or does so by several mails at once, unsubscribes once.
 */
async function recordFarewells(tx: Queryable, answers: readonly Answer[], about: About): Promise<OutboxEventInput[]> {
  if (answers.length === 0) return []
  // Who does both is told by the graver one.
  const byId = new Map<string, Answer>()
  for (const answer of answers) {
    const { message, kind } = answer.meaning
    if (!byId.has(message.id) || kind === 'complaint') byId.set(message.id, answer)
  }
  const leads = await lockLeavingLeads(
    tx,
    answers.flatMap(({ meaning }) => meaning.message.leadId ?? []),
  )
  const rows = [...byId].map(([id, { meaning, at }]) => ({ id, at, isComplaint: meaning.kind === 'complaint' }))
  const marked = await tx.query<{ id: string; version: number }>(MARK_LEFT, [currentTenant(), JSON.stringify(rows)])
  const targets = [...byId.values()].flatMap(({ meaning: { message, kind }, messageId, at }): Suppressing[] => {
    const present = leads.get(message.leadId ?? '')?.email
    const emails = new Set([message.toEmail, present].filter((email) => email != null))
    const reason = kind === 'complaint' ? 'complaint' : 'unsubscribe'
    return [...emails].map((email) => ({ email, reason, sourceMessageId: messageId, at }))
  })
  await suppress(tx, targets)
  const gone = new Set([...leads].filter(([, { hasLeft }]) => hasLeft).map(([id]) => id))
  const versions = new Map(marked.rows.map(({ id, version }) => [id, version]))
  const isComplaint = ({ meaning }: Answer) => meaning.kind === 'complaint'
  const inOrder = [...byId.values()].sort(
    (one, other) => Number(isComplaint(other)) - Number(isComplaint(one)) || one.at.getTime() - other.at.getTime(),
  )
  return inOrder.flatMap((answer) => {
    const { message, kind } = answer.meaning
    const version = versions.get(message.id)
    if (version === undefined) return []
    const eventType = kind === 'complaint' ? 'complained' : 'unsubscribed'
    const isKnown = message.leadId !== null && gone.has(message.leadId)
    if (message.leadId !== null) gone.add(message.leadId)
    if (isKnown && eventType === 'unsubscribed') return []
    return [
      makeEmailEvent({
        eventType,
        at: answer.at,
        message: { ...message, version },
        mailbox: message.mailbox,
        ...about,
      }),
    ]
  })
}
