import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { appendOutbox } from '#platform/outbox/append.ts'
import type { Context } from '../../context.ts'
import { allocate } from './allocate.ts'
import { type BudgetChange, changeBudgets, lockBudgets } from './budgets.ts'
import { budgetKeys, type CampaignFacts, type SendingMailbox } from './campaignFacts.ts'
import { changeEnrollments, lockEnrollments } from './enrollmentChanges.ts'
import type { ComposedMail, EnrollmentChange } from './planBatch.ts'
import { insertQueuedMails, mailDue } from './queuedMail.ts'
import { makeRooms } from './rooms.ts'
import type { Span } from './window.ts'

export type Plan = {
  mails: readonly ComposedMail[]
  changes: readonly EnrollmentChange[]
  mailboxes: readonly SendingMailbox[]
  span: Span
  at: Date
}

const LOCK_CAMPAIGN = `
  SELECT status FROM campaigns WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL FOR NO KEY UPDATE`

/** The status of a campaign that nobody changes until the transaction ends: it is not paused while it is planned. */
export async function lockCampaign(tx: Queryable, campaignId: string): Promise<string | null> {
  const values = [currentTenant(), campaignId]
  const { rows } = await tx.query<{ status: string }>({ name: 'lock_campaign', text: LOCK_CAMPAIGN }, values)
  return rows[0]?.status ?? null
}

const HOLD_MAILBOXES = `
  SELECT id FROM email_accounts WHERE tenant_id = $1 AND id = ANY($2::uuid[]) AND deleted_at IS NULL
  ORDER BY id FOR SHARE`

/** Those of the mailboxes that there still are; nobody deletes or stops one until the transaction ends. */
async function holdMailboxes(tx: Queryable, ids: readonly string[]): Promise<Set<string>> {
  if (ids.length === 0) return new Set()
  const values = [currentTenant(), [...new Set(ids)]]
  const { rows } = await tx.query<{ id: string }>({ name: 'hold_mailboxes', text: HOLD_MAILBOXES }, values)
  return new Set(rows.map(({ id }) => id))
}

// As the trigger keep_conversations does when mail is added to a thread: by the same keys, in the same order.
const HOLD_THREADS = `
  SELECT pg_advisory_xact_lock_shared(hashtext($1::text), part)
  FROM (SELECT DISTINCT hashtext(thread::text) & 63 AS part FROM unnest($2::uuid[]) AS thread ORDER BY 1) AS parts`

/** Takes early what the database takes when follow-ups are written: whoever writes an answer has it before leads. */
async function holdThreads(tx: Queryable, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return
  await tx.query({ name: 'hold_threads', text: HOLD_THREADS }, [currentTenant(), [...new Set(ids)]])
}

/**
 * Writes a plan in one transaction, a fixed number of statements for any number of mails: what others took of the caps
 * meanwhile is respected, leads that changed meanwhile are left alone. Answers the ids of the mails that are queued now.
 */
export function writePlan(
  { db, requestId }: Context,
  campaign: CampaignFacts,
  { mails, changes, mailboxes, span, at }: Plan,
): Promise<{ planned: Set<string>; ended: number }> {
  const work = async (tx: Queryable) => {
    const nothing = { planned: new Set<string>(), ended: 0 }
    if (mails.length === 0 && changes.length === 0) return nothing
    // In the order of README.md: whoever deletes a mailbox, or answers in a thread, waits, or is waited for here.
    const there = await holdMailboxes(
      tx,
      mails.map(({ mailbox }) => mailbox.id),
    )
    if ((await lockCampaign(tx, campaign.id)) !== 'sending') return nothing
    await holdThreads(
      tx,
      mails.filter(({ row }) => row.threadId !== row.id).map(({ row }) => row.threadId),
    )
    const ids = [...mails.map(({ change }) => change.id), ...changes.map(({ id }) => id)]
    const versions = await lockEnrollments(tx, ids)
    const isAsRead = ({ id, version }: EnrollmentChange) => versions.get(id) === version
    const fitting = await takeBudgets(tx, campaign, {
      mails: mails.filter(({ change, mailbox }) => isAsRead(change) && there.has(mailbox.id)),
      mailboxes,
      span,
    })

    const planned = await insertQueuedMails(
      tx,
      fitting.map(({ row }) => row),
    )
    const written = fitting.filter(({ row }) => planned.has(row.id))
    await changeBudgets(
      tx,
      written.flatMap(({ row, mailbox }) =>
        budgetKeys(campaign, mailbox, row.scheduledAt).map((key): BudgetChange => ({ ...key, reserved: 1, sent: 0 })),
      ),
    )
    const applied = changes.filter(isAsRead)
    await changeEnrollments(tx, [...written.map(({ change }) => change), ...applied], at)
    await appendOutbox(
      tx,
      written.map(({ row }) => mailDue(row, requestId)),
    )
    return { planned, ended: applied.filter(({ status }) => status !== 'active').length }
  }
  return db.tenantSql.transaction(work, { retries: 3 })
}

/** The mails that still fit into the budgets, now that nobody else can take from them. */
async function takeBudgets(
  tx: Queryable,
  campaign: CampaignFacts,
  { mails, mailboxes, span }: Pick<Plan, 'mails' | 'mailboxes' | 'span'>,
): Promise<ComposedMail[]> {
  if (mails.length === 0) return []
  const used = new Set(mails.map(({ mailbox }) => mailbox.id))
  const own = mailboxes.filter(({ id }) => used.has(id))
  const budgets = await lockBudgets(
    tx,
    own.flatMap((mailbox) => budgetKeys(campaign, mailbox, span.from)),
  )
  const rooms = makeRooms(campaign, own, { budgets, loads: new Map(), span })
  // Addresses have been promised already.
  for (const id of rooms.shared.addresses.keys()) rooms.shared.addresses.set(id, Number.POSITIVE_INFINITY)
  const places = allocate(
    mails.map(({ mailbox }) => ({ mailboxId: mailbox.id })),
    rooms.mailboxes,
    rooms.shared,
  )
  return mails.filter((_, index) => places[index]?.mailbox)
}
