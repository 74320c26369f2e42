import { now } from '#platform/clock.ts'
import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant, runAsTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { readId } from '#platform/graph/ids.ts'
import { groupBy } from '#platform/grouping.ts'
import { appendOutbox, type OutboxEventInput } from '#platform/outbox/append.ts'
import type { Context } from '../../context.ts'
import { applyBrakes, type HeldBrakes, holdBrakes } from '../brakes/brakes.ts'
import { suppress } from '../leads/suppressions.ts'
import { makeEmailEvent } from '../mailFlow/emailEvents.ts'
import { localDay } from '../mailFlow/localDay.ts'
import { cleanText } from '../texts.ts'
import type { Attempt } from './acceptWindow.ts'
import { advanceEnrollments, type PassedMail } from './advance.ts'
import { wakeCampaign } from './agenda.ts'
import { findSendFacts, keysOf, MAX_SENDING } from './begin.ts'
import type { BudgetChange } from './budgets.ts'
import type { SendFacts } from './decideSend.ts'
import { disconnectMailboxes } from './disconnect.ts'
import { endingOf } from './ending.ts'
import { lockEnrollments } from './enrollmentChanges.ts'
import { holdLeads } from './holdLeads.ts'
import { findLeavingMails, type LeavingMail, lockLeavingMails } from './leavingMails.ts'
import { mailDue } from './queuedMail.ts'
import { findRetry, type Retry } from './retryLater.ts'
import { transact } from './transact.ts'
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

function finishForTenant(context: Context, asked: readonly FinishedMail[]): Promise<Finished[]> {
  const { requestId, log } = context
  const at = now()
  const work = async (tx: Queryable): Promise<Finished[]> => {
    const byId = new Map(asked.map((mail) => [mail.messageId, mail]))
    const held = await holdStopped(tx, byId)
    const mails = (await lockLeavingMails(tx, [...byId.keys()])).filter((mail) => isCurrent(mail, byId.get(mail.id)))
    const finished = (await findSendFacts(tx, mails)).map((facts): Finished => {
      const { outcome, response } = byId.get(facts.mail.id) as FinishedMail
      const retry = findRetry(facts, outcome, at)
      const text = cleanText(response ?? null, MAX_RESPONSE_LENGTH)
      return { facts, outcome, response: text, retry, status: statusAfter(outcome, retry) }
    })
    if (finished.length === 0) return []
    const passed = finished.flatMap((one) => passedBy(one, at))
    await lockEnrollments(tx, passed.flatMap(({ facts }) => facts.mail.enrollmentId ?? []).sort())
    await writeOutcomes(tx, finished, at)
    countOutcomes(tx, finished, at)
    await appendOutbox(
      tx,
      finished.flatMap((one) => makeEvents(one, { at, requestId })),
    )
    await suppressUnknown(tx, finished, at)
    await markContacted(tx, finished)
    await advanceEnrollments(tx, passed, at)
    for (const { facts, retry } of finished) {
      // What is to be tried beyond this span gets its new time from the planner.
      if (retry?.kind === 'planned' && facts.campaign) wakeCampaign(tx, facts.campaign.id, retry.from)
    }
    await disconnectMailboxes(tx, refusedMailboxes(finished), { at, requestId })
    const unknown = finished.filter(({ outcome }) => outcome === 'unknown').map(({ facts }) => facts.mail)
    await recordUnknown(tx, unknown, { at, requestId, log })
    await applyBrakes(tx, held, { at, requestId })
    return finished
  }
  return transact(context, work, { retries: 3 })
}

/** Holds what refused mails may stop, in the order in which everybody does; most mails stop nothing. */
async function holdStopped(tx: Queryable, asked: ReadonlyMap<string, FinishedMail>): Promise<HeldBrakes> {
  const isOf = (outcome: SendOutcome) => (mail: LeavingMail) => asked.get(mail.id)?.outcome === outcome
  const stops = [...asked.values()].some(({ outcome }) => outcome === 'mailbox_unknown' || outcome === 'auth_failed')
  if (!stops) return { mailboxIds: [], campaignIds: [] }
  const mails = await findLeavingMails(tx, [...asked.keys()])
  const bounced = mails.filter(isOf('mailbox_unknown'))
  const held = await holdBrakes(
    tx,
    bounced.map(({ emailAccountId, campaignId }) => ({ mailbox: { id: emailAccountId }, campaignId })),
    mails.filter(isOf('auth_failed')).map(({ emailAccountId }) => emailAccountId),
  )
  await holdLeads(tx, {
    messageIds: mails.map(({ id }) => id),
    leadIds: mails.flatMap(({ leadId }) => leadId ?? []),
    emails: bounced.flatMap(({ toEmail }) => toEmail ?? []),
  })
  return held
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
      scheduled_at = coalesce(v."scheduledAt", r.scheduled_at),
      queued_at = CASE WHEN v.status <> 'queued' THEN r.queued_at WHEN v."hasJob" THEN $2 END,
      smtp_ip_address_id = CASE WHEN v."isUnpromised" THEN NULL ELSE r.smtp_ip_address_id END
  FROM jsonb_to_recordset($3::jsonb) AS v (id uuid, status text, response text, reason text, "scheduledAt" timestamptz,
    "hasJob" boolean, "isUnpromised" boolean)
  WHERE r.tenant_id = $1 AND r.id = v.id`

async function writeOutcomes(tx: Queryable, finished: readonly Finished[], at: Date): Promise<void> {
  const rows = finished.map((one) => ({
    id: one.facts.mail.id,
    status: one.status,
    response: one.response,
    reason: one.status === 'failed' ? failureReason(one.outcome, one.response) : null,
    scheduledAt: retryTime(one),
    hasJob: one.retry?.kind === 'at',
    // Of another day nothing is promised of its address yet.
    isUnpromised: !keepsDay(one, 'UTC', at),
  }))
  await tx.query({ name: 'finish_sending', text: FINISH }, [currentTenant(), at, JSON.stringify(rows)])
}

function failureReason(outcome: SendOutcome, response: string | null): string {
  if (outcome === 'unknown') return 'outcome_unknown'
  const why = outcome === 'refused' ? 'refused' : `given up: ${outcome}`
  return response ? `${why}: ${response}`.slice(0, 500) : why
}

function retryTime({ retry }: Finished): Date | null {
  if (!retry) return null
  return retry.kind === 'at' ? retry.at : retry.from
}

/** Whether a mail that is tried again is so on the day that it was promised for. */
function keepsDay(one: Finished, timezone: string, at: Date): boolean {
  const next = retryTime(one)
  return next === null || localDay(next, timezone) === localDay(one.facts.mail.scheduledAt ?? at, timezone)
}

/**
 * What did not leave gives its place in the day back; what will not leave at all its promise too, and what leaves on
 * another day takes it along. Tenants share addresses: what they carry is counted after the commit.
 */
function countOutcomes(tx: Queryable, finished: readonly Finished[], at: Date): void {
  const { budgets, addresses } = endingOf(tx)
  for (const one of finished) {
    const { facts, outcome, status } = one
    const { mail } = facts
    const promisedAt = mail.scheduledAt ?? at
    const change = (day: Date, reserved: number, sent: number) =>
      keysOf(facts, day).map((key): BudgetChange => ({ ...key, reserved, sent }))
    const keepsPromise = status === 'queued' && keepsDay(one, mail.timezone, at)
    if (outcome !== 'sent' && outcome !== 'unknown') {
      // What belongs to no campaign was promised nothing.
      const reserved = mail.campaignId === null || keepsPromise ? 0 : -1
      budgets.push(...change(promisedAt, reserved, -1))
      if (status === 'queued' && reserved < 0) budgets.push(...change(retryTime(one) ?? at, 1, 0))
    }
    if (!mail.smtpIpAddressId) continue
    const promise = { addressId: mail.smtpIpAddressId, day: localDay(promisedAt, 'UTC') }
    if (outcome === 'sent') addresses.push({ ...promise, reserved: 0, sent: 1 })
    else if (outcome !== 'unknown' && !(status === 'queued' && keepsDay(one, 'UTC', at))) {
      addresses.push({ ...promise, reserved: -1, sent: 0 })
    }
  }
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

/** A refused address is a bounce as much as one that comes back. */
async function suppressUnknown(tx: Queryable, finished: readonly Finished[], at: Date): Promise<void> {
  const bounced = finished.filter(({ outcome }) => outcome === 'mailbox_unknown')
  const targets = bounced.flatMap(({ facts: { mail } }) =>
    mail.toEmail ? [{ email: mail.toEmail, reason: 'bounce' as const, sourceMessageId: mail.id, at }] : [],
  )
  await suppress(tx, targets)
}

const MARK_CONTACTED = `
  WITH written AS (
    SELECT id FROM leads WHERE tenant_id = $1 AND id = ANY($2::uuid[]) AND status = 'new' ORDER BY id FOR NO KEY UPDATE
  )
  UPDATE leads l SET status = 'contacted' FROM written WHERE l.tenant_id = $1 AND l.id = written.id`

async function markContacted(tx: Queryable, finished: readonly Finished[]): Promise<void> {
  const sent = finished.filter(({ outcome }) => outcome === 'sent')
  const ids = sent.map(({ facts }) => facts.mail.leadId).filter((id) => id !== null)
  if (ids.length > 0) await tx.query({ name: 'mark_contacted', text: MARK_CONTACTED }, [currentTenant(), ids.sort()])
}

/** Mails that are behind their leads now. */
function passedBy({ facts, outcome, retry, response }: Finished, at: Date): PassedMail[] {
  // When it was given up its lead has moved on already.
  if (facts.mail.failureReason === 'outcome_unknown') return []
  if (outcome === 'sent') return [{ facts, leftAt: at }]
  if (outcome === 'unknown') return [{ facts, leftAt: facts.mail.acceptWindowAt ?? at }]
  if (retry) return []
  // Whoever still has the address has been ended with it; who has another one by now gets no further either.
  if (outcome === 'mailbox_unknown') return [{ facts, leftAt: null, stopReason: 'bounced' }]
  return [{ facts, leftAt: null, stopReason: failureReason(outcome, response) }]
}

function refusedMailboxes(finished: readonly Finished[]): Map<string, string | null> {
  const refused = finished.filter(({ outcome }) => outcome === 'auth_failed')
  return new Map(refused.map(({ facts, response }) => [facts.mail.emailAccountId, response]))
}
