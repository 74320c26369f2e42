import { now } from '#platform/clock.ts'
import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant, runAsTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { readId } from '#platform/graph/ids.ts'
import { groupBy } from '#platform/grouping.ts'
import { appendOutbox, type OutboxEventInput } from '#platform/outbox/append.ts'
import type { Context } from '../../context.ts'
import { applyBrakes, holdBrakes } from '../brakes.ts'
import { makeEmailEvent } from '../mailFlow/emailEvents.ts'
import { localDay } from '../mailFlow/localDay.ts'
import { suppress } from '../suppressions.ts'
import { cleanText } from '../texts.ts'
import type { Attempt } from './acceptWindow.ts'
import { changeAddressLoads } from './addressLoads.ts'
import { advanceEnrollments, type PassedMail } from './advance.ts'
import { wakeCampaigns } from './agenda.ts'
import { findSendFacts, keysOf, MAX_SENDING } from './begin.ts'
import { type BudgetChange, changeBudgets, lockBudgets } from './budgets.ts'
import type { SendFacts } from './decideSend.ts'
import { disconnectMailboxes } from './disconnect.ts'
import { type LeavingMail, lockLeavingMails } from './leavingMails.ts'
import { mailDue } from './queuedMail.ts'
import { findRetry, type Retry } from './retryLater.ts'
import { recordUnknown } from './unknownOutcome.ts'

/**
 * How an attempt ended: accepted; put off by the other server (4xx); refused for good, because the address does not exist
 * or for another reason (5xx); no connection; our credentials not accepted; hung up in the accept window; or told not to
 * open it.
 */
export type SendOutcome =
  | 'sent'
  | 'deferred'
  | 'mailbox_unknown'
  | 'refused'
  | 'unreachable'
  | 'auth_failed'
  | 'unknown'
  | 'aborted'

export type FinishedMail = Attempt & { outcome: SendOutcome; response?: string | null }

/** What the mail is now; `stale` when the attempt was overtaken and changed nothing. */
export type FinishAnswer = { messageId: string; status: string; stale: boolean }

/** An answer longer than this is cut. */
const MAX_RESPONSE_LENGTH = 1_000

type Finished = { facts: SendFacts; outcome: SendOutcome; response: string | null; retry: Retry | null; status: string }

/**
 * Writes how attempts ended, with all that follows: events, the lead's next step, bounces, retries. An attempt that was
 * overtaken changes nothing, except that an acceptance settles what was held for unknown. Answers in the order asked.
 * Repeating a call is harmless.
 * @throws AppError LIMIT_REACHED above 100; INVALID_INPUT for an id that is none
 */
export async function finishSending(context: Context, mails: readonly FinishedMail[]): Promise<FinishAnswer[]> {
  if (mails.length > MAX_SENDING) throw new AppError('LIMIT_REACHED', `mails: at most ${MAX_SENDING} at a time`)
  const asked = mails.map((mail) => ({
    ...mail,
    tenantId: readId(mail.tenantId, 'tenantId'),
    messageId: readId(mail.messageId, 'messageId'),
  }))
  const written = new Map<string, string>()
  for (const [tenantId, own] of groupBy(asked, (mail) => mail.tenantId)) {
    const finished = await runAsTenant(tenantId, () => finishForTenant(context, own))
    for (const { facts, status } of finished) written.set(facts.mail.id, status)
  }
  context.relay.wake()
  return asked.map(({ messageId }) => {
    const status = written.get(messageId)
    return { messageId, status: status ?? 'unchanged', stale: status === undefined }
  })
}

async function finishForTenant(context: Context, asked: readonly FinishedMail[]): Promise<Finished[]> {
  const { db, requestId, log } = context
  const at = now()
  const work = async (tx: Queryable): Promise<Finished[]> => {
    const byId = new Map(asked.map((mail) => [mail.messageId, mail]))
    const mails = (await lockLeavingMails(tx, [...byId.keys()])).filter((mail) => isCurrent(mail, byId.get(mail.id)))
    const finished = (await findSendFacts(tx, mails)).map((facts): Finished => {
      const { outcome, response } = byId.get(facts.mail.id) as FinishedMail
      const retry = findRetry(facts, outcome, at)
      const text = cleanText(response ?? null, MAX_RESPONSE_LENGTH)
      return { facts, outcome, response: text, retry, status: statusAfter(outcome, retry) }
    })
    if (finished.length === 0) return []
    const held = await holdBrakes(tx, finished.flatMap(brakingBy))
    await writeOutcomes(tx, finished, at)
    await countOutcomes(tx, finished, at)
    await appendOutbox(
      tx,
      finished.flatMap((one) => makeEvents(one, { at, requestId })),
    )
    await suppressUnknown(tx, finished, at)
    await markContacted(tx, finished)
    await advanceEnrollments(
      tx,
      finished.flatMap((one) => passedBy(one, at)),
      { at, requestId },
    )
    await wakeLater(tx, finished, { at, requestId })
    await disconnectMailboxes(tx, refusedMailboxes(finished), { at, requestId })
    const unknown = finished.filter(({ outcome }) => outcome === 'unknown').map(({ facts }) => facts.mail)
    await recordUnknown(tx, unknown, { at, requestId, log })
    await applyBrakes(tx, held, { at, requestId })
    return finished
  }
  const finished = await db.tenantSql.transaction(work, { retries: 3 })
  await countAddresses(context, finished, at)
  return finished
}

/** Whether what an attempt says about its mail counts: it is the last one, or it knows what nobody knew. */
function isCurrent(mail: LeavingMail, finished: FinishedMail | undefined): boolean {
  if (!finished || mail.sendAttempts !== finished.attempt) return false
  if (mail.status === 'sending') return true
  return finished.outcome === 'sent' && mail.failureReason === 'outcome_unknown'
}

function statusAfter(outcome: SendOutcome, retry: Retry | null): string {
  if (outcome === 'sent') return 'sent'
  if (outcome === 'mailbox_unknown') return 'bounced'
  return retry ? 'queued' : 'failed'
}

// What came back faster than this was written (a reply, a report) is not undone.
const FINISH = `
  UPDATE inbox_message_refs r
  SET status = CASE WHEN v.status <> 'sent' THEN v.status WHEN r.bounced_at IS NOT NULL THEN 'bounced'
                    WHEN r.replied_at IS NOT NULL THEN 'replied' WHEN r.opened_at IS NOT NULL THEN 'opened'
                    WHEN r.delivered_at IS NOT NULL THEN 'delivered' ELSE 'sent' END,
      version = r.version + 1, smtp_response = coalesce(v.response, r.smtp_response),
      sent_at = CASE v.status WHEN 'sent' THEN $2 ELSE r.sent_at END,
      bounced_at = CASE v.status WHEN 'bounced' THEN coalesce(r.bounced_at, $2) ELSE r.bounced_at END,
      bounce_type = CASE v.status WHEN 'bounced' THEN 'hard' ELSE r.bounce_type END,
      failed_at = CASE v.status WHEN 'failed' THEN $2 END, failure_reason = v.reason,
      accept_window_at = CASE v.status WHEN 'queued' THEN NULL ELSE r.accept_window_at END,
      scheduled_at = CASE v.status WHEN 'queued' THEN coalesce(v."scheduledAt", r.scheduled_at) ELSE r.scheduled_at END,
      queued_at = CASE WHEN v.status <> 'queued' THEN r.queued_at WHEN v."scheduledAt" IS NOT NULL THEN $2 END
  FROM jsonb_to_recordset($3::jsonb) AS v (id uuid, status text, response text, reason text, "scheduledAt" timestamptz)
  WHERE r.tenant_id = $1 AND r.id = v.id`

async function writeOutcomes(tx: Queryable, finished: readonly Finished[], at: Date): Promise<void> {
  const rows = finished.map(({ facts, outcome, response, retry, status }) => ({
    id: facts.mail.id,
    status,
    response,
    reason: status === 'failed' ? failureReason(outcome, response) : null,
    scheduledAt: retry?.kind === 'at' ? retry.at : null,
  }))
  await tx.query({ name: 'finish_sending', text: FINISH }, [currentTenant(), at, JSON.stringify(rows)])
}

function failureReason(outcome: SendOutcome, response: string | null): string {
  if (outcome === 'unknown') return 'outcome_unknown'
  const why = outcome === 'refused' ? 'refused' : `given up: ${outcome}`
  return response ? `${why}: ${response}`.slice(0, 500) : why
}

/** What did not leave gives its place in the day back; what will not leave at all its promise too. */
async function countOutcomes(tx: Queryable, finished: readonly Finished[], at: Date): Promise<void> {
  const changes = finished.flatMap(({ facts, outcome, status }): BudgetChange[] => {
    if (outcome === 'sent' || outcome === 'unknown') return []
    const reserved = status === 'queued' ? 0 : -1
    return keysOf(facts, facts.mail.scheduledAt ?? at).map((key) => ({ ...key, reserved, sent: -1 }))
  })
  if (changes.length === 0) return
  await lockBudgets(tx, changes)
  await changeBudgets(tx, changes)
}

function makeEvents({ facts, outcome, retry }: Finished, { at, requestId }: { at: Date; requestId: string }) {
  const { mail, mailbox } = facts
  const events: OutboxEventInput[] = []
  if (retry?.kind === 'at')
    events.push(mailDue({ ...mail, version: mail.version + 1, scheduledAt: retry.at }, requestId))
  if (!mailbox || (outcome !== 'sent' && outcome !== 'mailbox_unknown')) return events
  const from = {
    ...{ id: mailbox.id, domainId: mailbox.domainId, companyId: mailbox.companyId },
    smtpIpAddressId: mail.smtpIpAddressId,
  }
  const about = {
    at,
    message: { ...mail, version: mail.version + 1 },
    mailbox: from,
    timezone: mailbox.timezone,
    requestId,
  }
  if (outcome === 'sent') events.push(makeEmailEvent({ eventType: 'sent', ...about }))
  else events.push(makeEmailEvent({ eventType: 'bounced', bounceType: 'hard', ...about }))
  return events
}

/** A refused address is a bounce as much as one that comes back: too many of them stop mailbox and campaign. */
function brakingBy({ facts: { mail }, outcome }: Finished) {
  if (outcome !== 'mailbox_unknown') return []
  return [{ mailbox: { id: mail.emailAccountId }, campaignId: mail.campaignId }]
}

async function suppressUnknown(tx: Queryable, finished: readonly Finished[], at: Date): Promise<void> {
  const bounced = finished.filter(({ outcome }) => outcome === 'mailbox_unknown')
  const targets = bounced.flatMap(({ facts: { mail } }) =>
    mail.toEmail ? [{ email: mail.toEmail, reason: 'bounce' as const, sourceMessageId: mail.id, at }] : [],
  )
  await suppress(tx, targets)
}

const MARK_CONTACTED = `
  UPDATE leads SET status = 'contacted' WHERE tenant_id = $1 AND id = ANY($2::uuid[]) AND status = 'new'`

async function markContacted(tx: Queryable, finished: readonly Finished[]): Promise<void> {
  const sent = finished.filter(({ outcome }) => outcome === 'sent')
  const ids = sent.map(({ facts }) => facts.mail.leadId).filter((id) => id !== null)
  if (ids.length > 0) await tx.query({ name: 'mark_contacted', text: MARK_CONTACTED }, [currentTenant(), ids.sort()])
}

/** Mails that are behind their leads now. */
function passedBy({ facts, outcome, retry, response }: Finished, at: Date): PassedMail[] {
  if (outcome === 'sent') return [{ facts, leftAt: at }]
  if (outcome === 'unknown') return [{ facts, leftAt: facts.mail.acceptWindowAt ?? at }]
  // Whose address does not exist has been ended with it.
  if (retry || outcome === 'mailbox_unknown') return []
  return [{ facts, leftAt: null, stopReason: failureReason(outcome, response) }]
}

/** What is to be tried beyond this span gets its new time from the planner. */
async function wakeLater(
  tx: Queryable,
  finished: readonly Finished[],
  { at, requestId }: { at: Date; requestId: string },
) {
  for (const { facts, retry } of finished) {
    if (retry?.kind !== 'planned' || !facts.campaign) continue
    await wakeCampaigns(tx, [facts.campaign.id], { at: retry.from, now: at, requestId })
  }
}

function refusedMailboxes(finished: readonly Finished[]): Map<string, string | null> {
  const refused = finished.filter(({ outcome }) => outcome === 'auth_failed')
  return new Map(refused.map(({ facts, response }) => [facts.mail.emailAccountId, response]))
}

/** By the system, as tenants share addresses; after the commit: a crash in between leaves a mail uncounted, not unsent. */
async function countAddresses({ db }: Context, finished: readonly Finished[], at: Date): Promise<void> {
  const changes = finished.flatMap(({ facts: { mail }, outcome, status }) => {
    if (!mail.smtpIpAddressId) return []
    const promise = { addressId: mail.smtpIpAddressId, day: localDay(mail.scheduledAt ?? at, 'UTC') }
    if (outcome === 'sent') return [{ ...promise, reserved: 0, sent: 1 }]
    return status === 'queued' || outcome === 'unknown' ? [] : [{ ...promise, reserved: -1, sent: 0 }]
  })
  await changeAddressLoads(db.systemSql, changes)
}
