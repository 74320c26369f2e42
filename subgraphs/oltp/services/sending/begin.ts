import { now } from '#platform/clock.ts'
import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant, runAsTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { readId } from '#platform/graph/ids.ts'
import { groupBy } from '#platform/grouping.ts'
import type { Context } from '../../context.ts'
import { advanceEnrollments, type PassedMail } from './advance.ts'
import { wakeCampaigns } from './agenda.ts'
import { allocate } from './allocate.ts'
import { type BudgetChange, type BudgetKey, type Budgets, changeBudgets, lockBudgets } from './budgets.ts'
import {
  budgetKeys,
  type CampaignFacts,
  findCampaignFacts,
  findPlannedSteps,
  findSendingMailboxes,
} from './campaignFacts.ts'
import { decideSend, type SendFacts, type SendVerdict } from './decideSend.ts'
import { type EarlierMail, findEarlierMails } from './dueEnrollments.ts'
import { type LeavingMail, lockLeavingMails } from './leavingMails.ts'
import { makeRooms } from './rooms.ts'
import { recordUnknown } from './unknownOutcome.ts'

/** Mails of one call. */
export const MAX_SENDING = 100

export type MailName = {
  tenantId: string
  messageId: string
  /** Whether an earlier attempt of the same job ended without saying how: then its mail may be taken over. */
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
  const asked = mails.map(({ tenantId, messageId, isRepeat }) => ({
    tenantId: readId(tenantId, 'tenantId'),
    messageId: readId(messageId, 'messageId'),
    isRepeat: isRepeat ?? false,
  }))
  const begun = new Map<string, BegunMail>()
  for (const [tenantId, own] of groupBy(asked, (mail) => mail.tenantId)) {
    const repeats = new Map(own.map(({ messageId, isRepeat }) => [messageId, isRepeat]))
    const answers = await runAsTenant(tenantId, () => beginForTenant(context, repeats))
    for (const mail of answers) begun.set(mail.messageId, mail)
  }
  context.relay.wake()
  return asked.map(({ tenantId, messageId }) => {
    const nothing = { outcome: 'not_found', reason: null, attempt: 0, order: null } as const
    return begun.get(messageId) ?? { tenantId, messageId, ...nothing }
  })
}

type Decided = { facts: SendFacts; verdict: SendVerdict }

function beginForTenant({ db, requestId, log }: Context, repeats: ReadonlyMap<string, boolean>): Promise<BegunMail[]> {
  const work = async (tx: Queryable): Promise<BegunMail[]> => {
    const at = now()
    const mails = await lockLeavingMails(tx, [...repeats.keys()])
    const decided = (await findSendFacts(tx, mails)).map((facts) => {
      return { facts, verdict: decideSend(facts, at, repeats.get(facts.mail.id) ?? false) }
    })
    await takeDay(tx, decided, at)
    await writeVerdicts(tx, decided, at)
    await advanceEnrollments(tx, decided.flatMap(passedBy), { at, requestId })
    await announce(tx, decided, { at, requestId })
    const unknown = decided.filter(({ verdict }) => verdict.kind === 'unknown').map(({ facts }) => facts.mail)
    await recordUnknown(tx, unknown, { at, requestId, log })
    return decided.map(describeBegun)
  }
  return db.tenantSql.transaction(work, { retries: 3 })
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
  if (counted.length === 0 && !decided.some(({ verdict }) => verdict.kind === 'drop')) return
  const keys = decided.flatMap(({ facts }) => keysOf(facts, facts.mail.scheduledAt ?? at))
  const budgets = await lockBudgets(tx, keys)
  for (const [, ofCampaign] of groupBy(counted, ({ facts }) => facts.campaign?.id ?? null)) {
    const campaign = ofCampaign[0]?.facts.campaign
    if (campaign) holdOverCap(campaign, ofCampaign, { budgets, at })
  }
  await changeBudgets(
    tx,
    decided.flatMap(({ facts, verdict }): BudgetChange[] => {
      const day = facts.mail.scheduledAt ?? at
      const isNew = facts.mail.status === 'queued'
      if (verdict.kind === 'send')
        return isNew ? keysOf(facts, day).map((key) => ({ ...key, reserved: 0, sent: 1 })) : []
      if (verdict.kind !== 'drop') return []
      return keysOf(facts, day).map((key) => ({ ...key, reserved: -1, sent: isNew ? 0 : -1 }))
    }),
  )
}

function holdOverCap(campaign: CampaignFacts, mails: Decided[], { budgets, at }: { budgets: Budgets; at: Date }): void {
  const mailboxes = [
    ...new Map(
      mails.flatMap(({ facts }) => (facts.mailbox ? [[facts.mailbox.id, facts.mailbox] as const] : [])),
    ).values(),
  ]
  // The same limits as when it was planned, counted by what has begun to leave.
  const begun: Budgets = { of: (key) => ({ reserved: budgets.of(key).sent, sent: 0 }) }
  const tomorrow = new Date(at.getTime() + 86_400_000)
  const rooms = makeRooms(campaign, mailboxes, { budgets: begun, loads: new Map(), span: { from: at, to: tomorrow } })
  for (const id of rooms.shared.addresses.keys()) rooms.shared.addresses.set(id, Number.POSITIVE_INFINITY)
  const places = allocate(
    mails.map(({ facts }) => ({ mailboxId: facts.mail.emailAccountId })),
    rooms.mailboxes,
    rooms.shared,
  )
  for (const [index, decision] of mails.entries()) {
    if (!places[index]?.mailbox) decision.verdict = { kind: 'hold', reason: 'day_passed' }
  }
}

/** The budgets a mail counts in; one of no campaign only in its mailbox's. */
export function keysOf({ campaign, mailbox }: SendFacts, at: Date): BudgetKey[] {
  if (!mailbox) return []
  return budgetKeys(campaign, mailbox, at)
}

const BEGIN = `
  UPDATE inbox_message_refs r
  SET status = v.status, version = r.version + 1,
      send_attempts = r.send_attempts + CASE WHEN v.status = 'sending' THEN 1 ELSE 0 END,
      sending_started_at = CASE WHEN v.status = 'sending' THEN $5 ELSE r.sending_started_at END,
      queued_at = CASE WHEN v.status = 'queued' THEN NULL ELSE r.queued_at END,
      failed_at = CASE WHEN v.status = 'failed' THEN $5 END, failure_reason = v.reason
  FROM unnest($2::uuid[], $3::text[], $4::text[]) AS v (id, status, reason)
  WHERE r.tenant_id = $1 AND r.id = v.id`

const STATUS_AFTER = { send: 'sending', hold: 'queued', drop: 'failed', unknown: 'failed' } as const

async function writeVerdicts(tx: Queryable, decided: readonly Decided[], at: Date): Promise<void> {
  const rows = decided.flatMap(({ facts, verdict }) => {
    if (verdict.kind === 'done' || verdict.kind === 'busy') return []
    // Its own job comes at its time.
    if (verdict.kind === 'hold' && verdict.reason === 'not_yet') return []
    const reason = verdict.kind === 'unknown' ? 'outcome_unknown' : verdict.kind === 'drop' ? verdict.reason : null
    return [{ id: facts.mail.id, status: STATUS_AFTER[verdict.kind], reason }]
  })
  if (rows.length === 0) return
  const values = [
    ...[
      currentTenant(),
      rows.map(({ id }) => id),
      rows.map(({ status }) => status),
      rows.map(({ reason }) => reason),
      at,
    ],
  ]
  await tx.query({ name: 'begin_sending', text: BEGIN }, values)
}

/** A mail that is behind its lead by this verdict. */
function passedBy({ facts, verdict }: Decided): PassedMail[] {
  if (verdict.kind === 'unknown') return [{ facts, leftAt: facts.mail.acceptWindowAt }]
  if (verdict.kind !== 'drop') return []
  // Without a reason of its own the lead goes on with the step after.
  return [{ facts, leftAt: null, stopReason: verdict.reason === 'suppressed' ? verdict.reason : null }]
}

/** What is held gets a new time from the planner. */
async function announce(
  tx: Queryable,
  decided: readonly Decided[],
  { at, requestId }: { at: Date; requestId: string },
) {
  const isForPlanner = ({ verdict }: Decided) =>
    verdict.kind === 'hold' && ['window', 'day_passed'].includes(verdict.reason)
  const campaigns = decided.filter(isForPlanner).flatMap(({ facts }) => facts.campaign?.id ?? [])
  await wakeCampaigns(tx, campaigns, { at, now: at, requestId })
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
