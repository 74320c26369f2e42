import { now } from '#platform/clock.ts'
import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant, runAsTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { readId } from '#platform/graph/ids.ts'
import { groupBy } from '#platform/grouping.ts'
import type { Context } from '../../context.ts'
import { localDay } from '../mailFlow/localDay.ts'
import { advanceEnrollments, type PassedMail } from './advance.ts'
import { wakeCampaigns } from './agenda.ts'
import { allocate } from './allocate.ts'
import { type BudgetChange, type BudgetKey, type Budgets, changeBudgets, lockBudgets, nameOf } from './budgets.ts'
import { budgetKeys, findCampaignFacts, findPlannedSteps, findSendingMailboxes } from './campaignFacts.ts'
import { decideSend, MAILBOX_DELETED, type SendFacts, type SendVerdict } from './decideSend.ts'
import { type EarlierMail, findEarlierMails } from './dueEnrollments.ts'
import { endingOf } from './ending.ts'
import { lockEnrollments } from './enrollmentChanges.ts'
import type { MailPlace } from './failQueued.ts'
import { type LeavingMail, lockLeavingMails } from './leavingMails.ts'
import { planAgain } from './planAgain.ts'
import { makeRooms } from './rooms.ts'
import { transact } from './transact.ts'
import { recordUnknown } from './unknownOutcome.ts'

/** Mails of one call. */
export const MAX_SENDING = 100

export type MailName = {
  tenantId: string
  messageId: string
  /** The job that sends it, */
  jobId?: string | null
  /** and whether an earlier attempt of it ended without saying how: then the mail may be taken over that it had begun. */
  isRepeat?: boolean | null
}

/** What a worker is told of a mail: to send it, as this attempt; or what became of it. */
export type BegunMail = { tenantId: string; messageId: string } & {
  outcome: 'send' | 'busy' | 'held' | 'dropped' | 'unknown' | 'done' | 'not_found'
  reason: string | null
  attempt: number
  order: SendingOrder | null
}

/** What a worker needs to send a mail; secrets are named, not told. */
export type SendingOrder = {
  emailAccountId: string
  fromEmail: string
  toEmail: string
  contentStorageKey: string
  vaultKeyPath: string | null
  smtpSettings: unknown
  dkim: { domain: string; selector: string; vaultKeyPath: string } | null
}

/**
 * Takes mails up for sending, after everything was asked again at this moment: campaign, lead, mailbox, window and the
 * caps of the day. Each that may leave becomes `sending` under a new attempt number; whoever holds an older one can do
 * nothing to it any more. One that was in the accept window when its worker was lost is given up, never sent again.
 * Answers in the order asked. Repeating a call is harmless.
 * @throws AppError LIMIT_REACHED above 100; INVALID_INPUT for an id that is none
 */
export async function beginSending(context: Context, mails: readonly MailName[]): Promise<BegunMail[]> {
  if (mails.length > MAX_SENDING) throw new AppError('LIMIT_REACHED', `mails: at most ${MAX_SENDING} at a time`)
  const asked = mails.map(({ tenantId, messageId, jobId, isRepeat }) => ({
    tenantId: readId(tenantId, 'tenantId'),
    messageId: readId(messageId, 'messageId'),
    jobId: jobId == null ? null : readId(jobId, 'jobId'),
    isRepeat: isRepeat ?? false,
  }))
  const begun = new Map<string, BegunMail>()
  for (const [tenantId, own] of groupBy(asked, (mail) => mail.tenantId)) {
    const jobs = new Map(own.map(({ messageId, jobId, isRepeat }) => [messageId, { jobId, isRepeat }]))
    const answers = await runAsTenant(tenantId, () => beginForTenant(context, jobs))
    for (const mail of answers) begun.set(mail.messageId, mail)
  }
  context.relay.wake()
  return asked.map(({ tenantId, messageId }) => {
    const nothing = { outcome: 'not_found', reason: null, attempt: 0, order: null } as const
    return begun.get(messageId) ?? { tenantId, messageId, ...nothing }
  })
}

type Decided = { facts: SendFacts; verdict: SendVerdict; jobId: string | null }
type SendingJob = { jobId: string | null; isRepeat: boolean }

function beginForTenant(context: Context, jobs: ReadonlyMap<string, SendingJob>): Promise<BegunMail[]> {
  const { requestId, log } = context
  const work = async (tx: Queryable): Promise<BegunMail[]> => {
    const at = now()
    const mails = await lockLeavingMails(tx, [...jobs.keys()])
    const decided = (await findSendFacts(tx, mails)).map((facts): Decided => {
      const { jobId, isRepeat } = jobs.get(facts.mail.id) as SendingJob
      // Another job of the same mail says nothing about the one that is at it.
      const isGone = isRepeat && facts.mail.sendingJobId === jobId
      return { facts, jobId, verdict: decideSend(facts, at, isGone) }
    })
    await lockEnrollments(tx, distinct(decided.flatMap(enrollmentEnding)).sort())
    await takeDay(tx, decided, at)
    await writeVerdicts(tx, decided, at)
    await advanceEnrollments(tx, decided.flatMap(passedBy), at)
    await planAgain(tx, decided.filter(isOrphan).map(placeOf), at)
    wakeCampaigns(
      tx,
      decided.filter(isForPlanner).flatMap(({ facts }) => facts.campaign?.id ?? []),
      at,
    )
    const unknown = decided.filter(({ verdict }) => verdict.kind === 'unknown').map(({ facts }) => facts.mail)
    await recordUnknown(tx, unknown, { at, requestId, log })
    return decided.map(describeBegun)
  }
  return transact(context, work, { retries: 3 })
}

/** All that decides about mails, in four statements for any number of them. */
export async function findSendFacts(sql: Queryable, mails: readonly LeavingMail[]): Promise<SendFacts[]> {
  const campaignIds = distinct(mails.map(({ campaignId }) => campaignId))
  const enrollmentIds = distinct(mails.map(({ enrollmentId }) => enrollmentId))
  // One after the other: a transaction has one connection.
  const campaigns = await findCampaignFacts(sql, campaignIds)
  const steps = await findPlannedSteps(sql, campaignIds)
  const earlier = await findEarlierMails(sql, enrollmentIds)
  const mailboxes = await findSendingMailboxes(sql, distinct(mails.map(({ emailAccountId }) => emailAccountId)))
  return mails.map((mail) => ({
    mail,
    campaign: campaigns.get(mail.campaignId ?? '') ?? null,
    steps: steps.get(mail.campaignId ?? '') ?? [],
    earlier: (earlier.get(mail.enrollmentId ?? '') ?? []).filter(({ id }: EarlierMail) => id !== mail.id),
    mailbox: mailboxes.get(mail.emailAccountId) ?? null,
  }))
}

/** Counts what leaves today; what the day has no room for (a limit was lowered since it was planned) is held instead. */
async function takeDay(tx: Queryable, decided: Decided[], at: Date): Promise<void> {
  // A mail that is begun again was counted when it was begun first.
  const counted = decided.filter(({ facts, verdict }) => verdict.kind === 'send' && facts.mail.status === 'queued')
  const changing = decided.filter((one) => counted.includes(one) || countsAnew(one))
  if (changing.length === 0) return
  const dayOf = ({ mail }: SendFacts) => mail.scheduledAt ?? at
  const budgets = await lockBudgets(
    tx,
    changing.flatMap(({ facts }) => keysOf(facts, dayOf(facts))),
  )
  holdOverCap(counted, { budgets, at })
  await changeBudgets(
    tx,
    changing.flatMap(({ facts, verdict }): BudgetChange[] => {
      const isNew = facts.mail.status === 'queued'
      const change = (reserved: number, sent: number) =>
        keysOf(facts, dayOf(facts)).map((key) => ({ ...key, reserved, sent }))
      if (verdict.kind === 'send') return isNew ? change(0, 1) : []
      if (verdict.kind === 'hold') return isNew ? [] : change(0, -1)
      // What belongs to no campaign was promised nothing.
      return verdict.kind === 'drop' ? change(facts.mail.campaignId === null ? 0 : -1, isNew ? 0 : -1) : []
    }),
  )
  const { addresses } = endingOf(tx)
  for (const { facts, verdict } of changing) {
    const addressId = facts.mail.smtpIpAddressId
    if (verdict.kind !== 'drop' || !addressId) continue
    addresses.push({ addressId, day: localDay(dayOf(facts), 'UTC'), reserved: -1, sent: 0 })
  }
}

/** Whether a mail that does not leave was promised or counted something. */
function countsAnew({ facts, verdict }: Decided): boolean {
  return verdict.kind === 'drop' || (verdict.kind === 'hold' && facts.mail.status === 'sending')
}

/** Holds what passes a limit of the day, counted by what has begun to leave, in this call too. */
function holdOverCap(counted: readonly Decided[], { budgets, at }: { budgets: Budgets; at: Date }): void {
  const taken = new Map<string, number>()
  const take = ({ facts }: Decided) => {
    for (const key of keysOf(facts, facts.mail.scheduledAt ?? at)) {
      taken.set(nameOf(key), (taken.get(nameOf(key)) ?? 0) + 1)
    }
  }
  const begun: Budgets = {
    of: (key) => {
      const mails = budgets.of(key).sent + (taken.get(nameOf(key)) ?? 0)
      return { reserved: mails, sent: mails }
    },
  }
  // What a person writes is held by no cap, but takes of the mailbox's day.
  for (const one of counted) if (!one.facts.campaign) take(one)
  for (const [, mails] of groupBy(counted, ({ facts }) => facts.campaign?.id ?? null)) {
    const campaign = mails[0]?.facts.campaign
    if (!campaign) continue
    const mailboxes = new Map(mails.flatMap(({ facts: { mailbox } }) => (mailbox ? [[mailbox.id, mailbox]] : [])))
    const span = { from: at, to: new Date(at.getTime() + 86_400_000) }
    const rooms = makeRooms(campaign, [...mailboxes.values()], { budgets: begun, loads: new Map(), span })
    // Addresses have been promised already.
    for (const id of rooms.shared.addresses.keys()) rooms.shared.addresses.set(id, Number.POSITIVE_INFINITY)
    const places = allocate(
      mails.map(({ facts }) => ({ mailboxId: facts.mail.emailAccountId })),
      rooms.mailboxes,
      rooms.shared,
    )
    for (const [index, one] of mails.entries()) {
      if (places[index]?.mailbox) take(one)
      else one.verdict = { kind: 'hold', reason: 'day_full' }
    }
  }
}

/** The budgets a mail counts in, also one of a mailbox or campaign that is deleted; one of no campaign only in its mailbox's. */
export function keysOf({ mail, campaign }: Pick<SendFacts, 'mail' | 'campaign'>, at: Date): BudgetKey[] {
  const mailbox = { id: mail.emailAccountId, domainId: mail.domainId, timezone: mail.timezone }
  if (mail.campaignId === null) return budgetKeys(null, mailbox, at)
  return budgetKeys(campaign ?? { id: mail.campaignId, plan: null }, mailbox, at)
}

const BEGIN = `
  UPDATE inbox_message_refs r
  SET status = v.status, version = r.version + 1,
      send_attempts = r.send_attempts + CASE WHEN v.status = 'sending' THEN 1 ELSE 0 END,
      sending_started_at = CASE WHEN v.status = 'sending' THEN $5 ELSE r.sending_started_at END,
      queued_at = CASE WHEN v.status = 'queued' THEN NULL ELSE r.queued_at END,
      sending_job_id = CASE WHEN v.status = 'sending' THEN v.job_id ELSE r.sending_job_id END,
      failed_at = CASE WHEN v.status = 'failed' THEN $5 END, failure_reason = v.reason
  FROM unnest($2::uuid[], $3::text[], $4::text[], $6::uuid[]) AS v (id, status, reason, job_id)
  WHERE r.tenant_id = $1 AND r.id = v.id`

const STATUS_AFTER = { send: 'sending', hold: 'queued', drop: 'failed', unknown: 'failed' } as const

async function writeVerdicts(tx: Queryable, decided: readonly Decided[], at: Date): Promise<void> {
  const rows = decided.flatMap(({ facts, verdict, jobId }) => {
    if (verdict.kind === 'done' || verdict.kind === 'busy') return []
    // Its own job comes at its time.
    if (verdict.kind === 'hold' && verdict.reason === 'not_yet') return []
    const reason = verdict.kind === 'unknown' ? 'outcome_unknown' : verdict.kind === 'drop' ? verdict.reason : null
    return [{ id: facts.mail.id, status: STATUS_AFTER[verdict.kind], reason, jobId }]
  })
  if (rows.length === 0) return
  const values = [
    ...[currentTenant(), rows.map(({ id }) => id), rows.map(({ status }) => status)],
    ...[rows.map(({ reason }) => reason), at, rows.map(({ jobId }) => jobId)],
  ]
  await tx.query({ name: 'begin_sending', text: BEGIN }, values)
}

/** A mail that is behind its lead by this verdict. */
function passedBy({ facts, verdict }: Decided): PassedMail[] {
  if (verdict.kind === 'unknown') return [{ facts, leftAt: facts.mail.acceptWindowAt }]
  if (verdict.kind !== 'drop' || isOrphan({ verdict })) return []
  // Without a reason of its own the lead goes on with the step after.
  return [{ facts, leftAt: null, stopReason: verdict.reason === 'suppressed' ? verdict.reason : null }]
}

/** Whether only its mailbox is gone: another one sends it. */
function isOrphan({ verdict }: Pick<Decided, 'verdict'>): boolean {
  return verdict.kind === 'drop' && verdict.reason === MAILBOX_DELETED
}

function placeOf({ facts: { mail } }: Decided): MailPlace {
  return { ...mail, addressId: mail.smtpIpAddressId }
}

/** The enrollment that this verdict moves on, or back. */
function enrollmentEnding({ facts: { mail }, verdict }: Decided): (string | null)[] {
  return verdict.kind === 'drop' || verdict.kind === 'unknown' ? [mail.enrollmentId] : []
}

/** What is held gets a new time from the planner; what the day has no room for, when the day is over. */
function isForPlanner({ verdict }: Decided): boolean {
  return verdict.kind === 'hold' && ['window', 'day_passed', 'address_changed'].includes(verdict.reason)
}

function describeBegun({ facts: { mail }, verdict }: Decided): BegunMail {
  const name = { tenantId: mail.tenantId, messageId: mail.id }
  if (verdict.kind !== 'send') {
    const outcome = ({ hold: 'held', drop: 'dropped', unknown: 'unknown', busy: 'busy', done: 'done' } as const)[
      verdict.kind
    ]
    return {
      ...name,
      outcome,
      reason: 'reason' in verdict ? verdict.reason : null,
      attempt: mail.sendAttempts,
      order: null,
    }
  }
  return { ...name, outcome: 'send', reason: null, attempt: mail.sendAttempts + 1, order: makeOrder(mail) }
}

function makeOrder(mail: LeavingMail): SendingOrder {
  const { dkimSelector, dkimVaultKeyPath, domain } = mail
  const { emailAccountId, vaultKeyPath, smtpSettings } = mail
  return {
    ...{ emailAccountId, vaultKeyPath, smtpSettings },
    fromEmail: mail.fromEmail ?? '',
    toEmail: mail.toEmail ?? '',
    contentStorageKey: mail.contentStorageKey ?? '',
    dkim: dkimSelector && dkimVaultKeyPath ? { domain, selector: dkimSelector, vaultKeyPath: dkimVaultKeyPath } : null,
  }
}

function distinct(ids: readonly (string | null)[]): string[] {
  return [...new Set(ids.filter((id) => id !== null))]
}
