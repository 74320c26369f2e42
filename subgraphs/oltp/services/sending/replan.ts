import { realSpan } from '#platform/clock.ts'
import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { appendOutbox } from '#platform/outbox/append.ts'
import type { Context } from '../../context.ts'
import { localDay } from '../mailFlow/localDay.ts'
import { changeAddressLoads } from './addressLoads.ts'
import { type AddressPromises, promiseAddresses } from './addressPromises.ts'
import { allocate } from './allocate.ts'
import { type BudgetChange, type Budgets, changeBudgets, lockBudgets } from './budgets.ts'
import { budgetKeys, type CampaignFacts, findSendingMailboxes, type SendingMailbox } from './campaignFacts.ts'
import { isStopped } from './caps.ts'
import { mailDue } from './queuedMail.ts'
import { makeRooms } from './rooms.ts'
import { spreadSlots } from './slots.ts'
import type { Span } from './window.ts'
import { lockCampaign } from './writePlan.ts'

/** Mails looked at in one transaction. */
const REPLAN_BATCH = 500

/** Before every id. */
const NO_ID = '00000000-0000-0000-0000-000000000000'

/** A job that is this late has been lost. By the business clock, but no less than a minute of real time. */
const overdueMs = () => Math.max(10 * 60_000, 60_000 / realSpan(1))

const FIND_OVERDUE = `
  SELECT r.id, r.email_account_id AS "emailAccountId", r.campaign_id AS "campaignId", r.scheduled_at AS "scheduledAt",
    r.smtp_ip_address_id AS "addressId", r.version
  FROM inbox_message_refs r
  WHERE r.tenant_id = $1 AND r.campaign_id = $2 AND r.status = 'queued' AND r.scheduled_at <= $3
    AND (r.scheduled_at, r.id) > (coalesce($6::timestamptz, '-infinity'), coalesce($7::uuid, '${NO_ID}'))
    AND (r.queued_at IS NULL OR greatest(r.queued_at, r.scheduled_at) <= $4)
    AND EXISTS (SELECT FROM email_accounts a WHERE a.tenant_id = $1 AND a.id = r.email_account_id AND a.status = 'active')
  ORDER BY r.scheduled_at, r.id LIMIT $5 FOR NO KEY UPDATE OF r SKIP LOCKED`

const RESCHEDULE = `
  UPDATE inbox_message_refs r
  SET scheduled_at = n.scheduled_at, queued_at = $5, smtp_ip_address_id = n.address_id, version = r.version + 1
  FROM unnest($2::uuid[], $3::timestamptz[], $4::uuid[]) AS n (id, scheduled_at, address_id)
  WHERE r.tenant_id = $1 AND r.id = n.id AND r.status = 'queued'`

type Overdue = {
  id: string
  emailAccountId: string
  campaignId: string
  scheduledAt: Date
  addressId: string | null
  version: number
}

/** Where the next batch goes on. */
type Place = { at: Date; id: string } | null

type ReplanInput = { at: Date; span: Span }

/** `given`: mails of each mailbox that got a new time before this batch. */
type BatchInput = ReplanInput & { after: Place; given: ReadonlyMap<string, number> }

/**
 * Gives a campaign's mail that was to leave and could not (the campaign was paused, the window closed, no worker lived) a
 * new time in this span, as far as the caps of its day allow; its promises move along. The rest waits for the next span.
 * Answers whether there is a rest.
 */
export async function replanOverdue(
  context: Context,
  campaign: CampaignFacts,
  { at, span }: ReplanInput,
): Promise<boolean> {
  let isShort = false
  let after: Place = null
  const given = new Map<string, number>()
  for (;;) {
    // Mail that stays is passed over: one mailbox that is full hides no other.
    const { overdue, moved } = await replanBatch(context, campaign, { at, span, after, given })
    for (const { emailAccountId } of moved) given.set(emailAccountId, (given.get(emailAccountId) ?? 0) + 1)
    isShort ||= moved.length < overdue.length
    const last = overdue.at(-1)
    if (!last || overdue.length < REPLAN_BATCH) return isShort
    after = { at: last.scheduledAt, id: last.id }
  }
}

async function replanBatch(
  context: Context,
  campaign: CampaignFacts,
  { at, span, after, given }: BatchInput,
): Promise<{ overdue: Overdue[]; moved: Overdue[] }> {
  const { db, requestId, log } = context
  let promises: AddressPromises | undefined
  let overdue: Overdue[] = []
  let moved: Overdue[] = []
  let used: SendingMailbox['address'][] = []
  let mailboxes = new Map<string, SendingMailbox>()
  const work = async (tx: Queryable) => {
    // A transaction that is tried again has promised nothing yet.
    await promises?.settle([])
    promises = undefined
    overdue = []
    moved = []
    used = []
    if ((await lockCampaign(tx, campaign.id)) !== 'sending') return
    const late = new Date(at.getTime() - overdueMs())
    const values = [currentTenant(), campaign.id, at, late, REPLAN_BATCH, after?.at, after?.id]
    overdue = (await tx.query<Overdue>({ name: 'find_overdue', text: FIND_OVERDUE }, values)).rows
    if (overdue.length === 0) return
    mailboxes = await findSendingMailboxes(tx, [...new Set(overdue.map(({ emailAccountId }) => emailAccountId))])
    const fitting = await takeNewDay(tx, campaign, { overdue, mailboxes, span })
    const addresses = fitting.flatMap((mail) => addressNeeded(mail, mailboxes, span) ?? [])
    const promising = await promiseAddresses(db.systemSql, addresses, span.from)
    promises = promising
    moved = fitting.filter((mail) => promising.take(addressNeeded(mail, mailboxes, span)))
    await writeNewTimes(tx, campaign, moved, { mailboxes, span, at, given, requestId })
    used = moved.map((mail) => addressNeeded(mail, mailboxes, span))
  }
  try {
    await db.tenantSql.transaction(work, { retries: 3 })
  } catch (error) {
    used = []
    moved = []
    throw error
  } finally {
    await promises?.settle(used)
  }
  if (moved.length > 0) log.info({ campaign: campaign.id, mails: moved.length }, 'overdue mail has a new time')
  await giveBackOldDays(context, moved, { mailboxes, span })
  return { overdue, moved }
}

type MoveParts = { overdue: readonly Overdue[]; mailboxes: ReadonlyMap<string, SendingMailbox>; span: Span }

/**
 * Those of the day that the day still has room for, by what has begun to leave of it, and of the others as many as it can
 * promise. What leaves by an address that was taken out of use stays.
 */
async function takeNewDay(tx: Queryable, campaign: CampaignFacts, { overdue, mailboxes, span }: MoveParts) {
  const known = [...mailboxes.values()]
  const days = new Map([span.from, ...overdue.map(({ scheduledAt }) => scheduledAt)].map((at) => [dayKey(at), at]))
  const keys = known.flatMap((mailbox) => [...days.values()].flatMap((day) => budgetKeys(campaign, mailbox, day)))
  const budgets = await lockBudgets(tx, keys)
  const begun: Budgets = { of: (key) => ({ ...budgets.of(key), reserved: budgets.of(key).sent }) }
  const mayLeave = ({ emailAccountId }: Overdue) => {
    const address = mailboxes.get(emailAccountId)?.address
    return !address || !isStopped(address)
  }
  const isMoving = ({ scheduledAt }: Overdue) => dayOf(campaign, scheduledAt) !== dayOf(campaign, span.from)
  const able = overdue.filter(mayLeave)
  const allowed = new Set(
    [
      ...place(able.filter(isMoving), budgets),
      ...place(
        able.filter((mail) => !isMoving(mail)),
        begun,
      ),
    ].map(({ id }) => id),
  )
  return overdue.filter(({ id }) => allowed.has(id))

  function place(mails: Overdue[], taken: Budgets): Overdue[] {
    const rooms = makeRooms(campaign, known, { budgets: taken, loads: new Map(), span })
    for (const id of rooms.shared.addresses.keys()) rooms.shared.addresses.set(id, Number.POSITIVE_INFINITY)
    // Of a plan's period it is promised already, and stays so.
    rooms.shared.plan = Number.POSITIVE_INFINITY
    const places = allocate(
      mails.map(({ emailAccountId }) => ({ mailboxId: emailAccountId })),
      rooms.mailboxes,
      rooms.shared,
    )
    return mails.filter((_, index) => places[index]?.mailbox)
  }

  /** Days of the tenant and of UTC at once. */
  function dayKey(at: Date): string {
    return `${dayOf(campaign, at)} ${localDay(at, 'UTC')}`
  }
}

function dayOf({ timezones }: CampaignFacts, at: Date): string {
  return localDay(at, timezones.tenant)
}

/** The address of which a mail needs a promise for the new day; null when it has one, or leaves by none of ours. */
function addressNeeded(
  { emailAccountId, addressId, scheduledAt }: Overdue,
  mailboxes: ReadonlyMap<string, SendingMailbox>,
  span: Span,
): SendingMailbox['address'] {
  const address = mailboxes.get(emailAccountId)?.address ?? null
  const hasPromise = addressId === address?.id && localDay(scheduledAt, 'UTC') === localDay(span.from, 'UTC')
  return hasPromise ? null : address
}

type NewTimes = Pick<MoveParts, 'mailboxes'> & Omit<BatchInput, 'after'> & { requestId: string }

async function writeNewTimes(
  tx: Queryable,
  campaign: CampaignFacts,
  moved: readonly Overdue[],
  { mailboxes, span, at, given, requestId }: NewTimes,
): Promise<void> {
  if (moved.length === 0) return
  const counts = new Map<string, number>()
  for (const { emailAccountId } of moved) counts.set(emailAccountId, (counts.get(emailAccountId) ?? 0) + 1)
  const slots = new Map(
    [...counts].map(([id, count]) => {
      return [id, spreadSlots(count, span, { waiting: given.get(id) ?? 0, seed: `${id} ${at.toISOString()}` })]
    }),
  )
  const times = moved.map(({ emailAccountId }) => slots.get(emailAccountId)?.shift() ?? span.from)
  const addresses = moved.map(({ emailAccountId }) => mailboxes.get(emailAccountId)?.address?.id ?? null)
  const values = [currentTenant(), moved.map(({ id }) => id), times, addresses, at]
  await tx.query({ name: 'reschedule_mails', text: RESCHEDULE }, values)
  await changeBudgets(
    tx,
    moved.flatMap((mail, index) => {
      const mailbox = mailboxes.get(mail.emailAccountId)
      if (!mailbox) return []
      const change = (day: Date, reserved: number) =>
        budgetKeys(campaign, mailbox, day).map((key): BudgetChange => ({ ...key, reserved, sent: 0 }))
      return [...change(mail.scheduledAt, -1), ...change(times[index] as Date, 1)]
    }),
  )
  await appendOutbox(
    tx,
    moved.map((mail, index) =>
      mailDue({ ...mail, version: mail.version + 1, scheduledAt: times[index] as Date }, requestId),
    ),
  )
}

/** What was promised of addresses, or for days, that are not those of the mails any more. */
async function giveBackOldDays(
  { db }: Context,
  moved: readonly Overdue[],
  { mailboxes, span }: Pick<MoveParts, 'mailboxes' | 'span'>,
): Promise<void> {
  const changes = moved.flatMap((mail) => {
    const { addressId, scheduledAt } = mail
    const isKept = addressNeeded(mail, mailboxes, span) === null && mailboxes.get(mail.emailAccountId)?.address
    return addressId && !isKept ? [{ addressId, day: localDay(scheduledAt, 'UTC'), reserved: -1, sent: 0 }] : []
  })
  await changeAddressLoads(db.systemSql, changes)
}
