import { now } from '#platform/clock.ts'
import { runAsTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { readId } from '#platform/graph/ids.ts'
import type { Context } from '../../context.ts'
import { localDay } from '../mailFlow/localDay.ts'
import { type AddressDay, findAddressLoads } from './addressLoads.ts'
import { promiseAddresses } from './addressPromises.ts'
import { findWakeCount, leaveAgenda } from './agenda.ts'
import { allocate, hasRoom, type MailToPlace, type Placed } from './allocate.ts'
import { type BudgetKey, findBudgets } from './budgets.ts'
import {
  budgetKeys,
  type CampaignFacts,
  findCampaignFacts,
  findCompanyMailboxes,
  findPlannedSteps,
  type SendingMailbox,
} from './campaignFacts.ts'
import { cursorAfter, type DueCursor, findDueEnrollments, findEarlierMails } from './dueEnrollments.ts'
import type { MailboxRoom } from './limits.ts'
import { planOrphansAgain } from './orphans.ts'
import { composeMails, type DueMail, decideDue, type PlacedMail } from './planBatch.ts'
import { replanOverdue } from './replan.ts'
import { makeRooms } from './rooms.ts'
import { startScheduled } from './scheduled.ts'
import { settleAgenda } from './settleAgenda.ts'
import { spreadSlots } from './slots.ts'
import { planningSpan, type Span } from './window.ts'
import { writePlan } from './writePlan.ts'

/** Enrollments looked at in one call: memory and transactions stay small however many are due. */
export const PLAN_BATCH = 500

export type PlanInput = { tenantId: string; campaignId: string; cursor?: string | null }

/** What a call planned, and whether there is more to look at now: then `cursor` says where. */
export type PlanResult = {
  planned: number
  /** Enrollments that ended without a mail. */
  ended: number
  nextPlanAt: Date | null
  cursor: string | null
}

const NOTHING: PlanResult = { planned: 0, ended: 0, nextPlanAt: null, cursor: null }

/**
 * Plans a campaign's next mails: one batch of due enrollments, rendered, stored, and queued to leave at times spread over
 * what is left of the window, within every cap. Two planners at once plan each lead once. A crash before the end leaves
 * nothing but content, and at most a promise of an address for that day.
 * @throws AppError INVALID_INPUT; UNAVAILABLE when the content tier does not answer: nothing is planned then
 */
export function planCampaignSends(context: Context, input: PlanInput): Promise<PlanResult> {
  const tenantId = readId(input.tenantId, 'tenantId')
  const campaignId = readId(input.campaignId, 'campaignId')
  return runAsTenant(tenantId, () => planBatch(context, { tenantId, campaignId, cursor: readCursor(input.cursor) }))
}

type BatchInput = { tenantId: string; campaignId: string; cursor: PlanCursor | null }

/** What is carried from batch to batch. */
type PlanCursor = { due: DueCursor; wakeCount: number; isShort: boolean }

async function planBatch(context: Context, { tenantId, campaignId, cursor }: BatchInput): Promise<PlanResult> {
  const { db, relay } = context
  // Read before all else: who calls from here on is not overheard.
  const wakeCount = cursor?.wakeCount ?? (await findWakeCount(db.tenantSql, campaignId))
  const at = now()
  const campaign = await findDueCampaign(context, campaignId, at)
  if (!campaign) {
    await leaveAgenda(db.tenantSql, campaignId, wakeCount)
    return NOTHING
  }
  const span = planningSpan(campaign.window, campaign.timezones, at)
  if (!span || span.from > at) {
    return settle(context, campaign, { planned: 0, ended: 0 }, { at, span, isBlocked: false, wakeCount })
  }
  let isShort = cursor?.isShort ?? false
  if (!cursor) {
    await planOrphansAgain(context, campaign, at)
    isShort = await replanOverdue(context, campaign, { at, span })
  }

  const due = await findDueEnrollments(db.tenantSql, campaign, {
    until: at,
    limit: PLAN_BATCH,
    cursor: cursor?.due ?? null,
  })
  const [stepsByCampaign, earlier] = await Promise.all([
    findPlannedSteps(db.tenantSql, [campaignId]),
    findEarlierMails(
      db.tenantSql,
      due.map(({ id }) => id),
    ),
  ])
  const steps = stepsByCampaign.get(campaignId) ?? []
  const decided = decideDue(due, steps, earlier, { campaign, at })
  const named = steps.map(({ emailAccountId }) => emailAccountId).filter((id) => id !== null)
  const mailboxes = await findCompanyMailboxes(db.tenantSql, campaign.companyId, named)
  const { placed, isFull } = await placeMails(context, decided.mails, { campaign, mailboxes, span, at })
  const { composed, changes } = await composeMails(context, placed, { tenantId, campaign, at })

  const addresses = composed.map(({ mailbox }) => mailbox.address)
  const promises = await promiseAddresses(db.systemSql, addresses, span.from)
  const kept = composed.filter(({ mailbox }) => promises.take(mailbox.address))
  let planned = new Set<string>()
  let ended = 0
  try {
    const written = await writePlan(context, campaign, {
      mails: kept,
      changes: [...decided.changes, ...changes],
      mailboxes,
      ...{ span, at },
    })
    planned = written.planned
    ended = written.ended
  } finally {
    await promises.settle(kept.filter(({ row }) => planned.has(row.id)).map(({ mailbox }) => mailbox.address))
  }
  relay.wake()
  const done = { planned: planned.size, ended }
  isShort ||= placed.length < decided.mails.length || kept.length < composed.length || planned.size < kept.length
  // When nothing more fits anywhere, what else is due is not looked at: it would be at every look.
  if (due.length === PLAN_BATCH && !isFull) {
    const next = { due: cursorAfter(due, cursor?.due ?? null), wakeCount, isShort }
    return { ...done, nextPlanAt: at, cursor: writeCursor(next) }
  }
  return settle(context, campaign, done, { at, span, isBlocked: isShort, wakeCount })
}

type Done = Pick<PlanResult, 'planned' | 'ended'>

/** Ends a plan; when someone called while it was made, the next call begins anew. */
async function settle(
  context: Context,
  campaign: CampaignFacts,
  done: Done,
  outcome: Parameters<typeof settleAgenda>[2],
): Promise<PlanResult> {
  const { nextPlanAt, isCalled } = await settleAgenda(context, campaign, outcome)
  context.relay.wake()
  return { ...done, nextPlanAt, cursor: isCalled ? ANEW : null }
}

/** The campaign if it sends, or was scheduled and begins now. */
async function findDueCampaign(context: Context, campaignId: string, at: Date): Promise<CampaignFacts | null> {
  const find = async () => (await findCampaignFacts(context.db.tenantSql, [campaignId])).get(campaignId) ?? null
  const campaign = await find()
  if (campaign?.status === 'scheduled' && campaign.scheduledAt && campaign.scheduledAt <= at) {
    await startScheduled(context, campaign, at)
    return find()
  }
  return campaign?.status === 'sending' ? campaign : null
}

type PlaceInput = { campaign: CampaignFacts; mailboxes: SendingMailbox[]; span: Span; at: Date }

/**
 * Gives each mail a mailbox and a time; those for which there is no room are left for later. `isFull`: there is none for
 * anybody any more.
 */
async function placeMails(
  { db }: Context,
  mails: readonly DueMail[],
  { campaign, mailboxes, span, at }: PlaceInput,
): Promise<{ placed: PlacedMail[]; isFull: boolean }> {
  if (mails.length === 0) return { placed: [], isFull: false }
  const [budgets, loads] = await Promise.all([
    findBudgets(db.tenantSql, allBudgetKeys(campaign, mailboxes, span.from)),
    findAddressLoads(db.systemSql, addressDays(mailboxes, span.from)),
  ])
  const rooms = makeRooms(campaign, mailboxes, { budgets, loads, span })
  const byId = new Map(mailboxes.map((mailbox) => [mailbox.id, mailbox]))
  const wishes = mails.map(({ step, enrollment }): MailToPlace => {
    const own = enrollment.emailAccountId
    // A follow-up comes from who wrote before; only when that mailbox is gone, from another.
    return { mailboxId: step.emailAccountId ?? (own !== null && byId.has(own) ? own : null) }
  })
  const places = allocate(wishes, rooms.mailboxes, rooms.shared)
  const slots = giveSlots(places, span, `${campaign.id} ${at.toISOString()}`)
  const placed = mails.flatMap((mail, index) => {
    const mailbox = byId.get(places[index]?.mailbox?.id ?? '')
    const slot = slots[index]
    return mailbox && slot ? [{ ...mail, mailbox, slot }] : []
  })
  return { placed, isFull: placed.length < mails.length && !hasRoom(rooms.mailboxes, rooms.shared) }
}

/** Times for placed mails, each mailbox's spread over the span; undefined where there is no place. */
function giveSlots(places: readonly Placed[], span: Span, seed: string): (Date | undefined)[] {
  const counts = new Map<MailboxRoom, number>()
  for (const { mailbox } of places) if (mailbox) counts.set(mailbox, (counts.get(mailbox) ?? 0) + 1)
  const slots = new Map(
    [...counts].map(([{ id, waiting }, count]) => [id, spreadSlots(count, span, { waiting, seed: `${seed} ${id}` })]),
  )
  return places.map(({ mailbox }) => (mailbox ? slots.get(mailbox.id)?.shift() : undefined))
}

/** Every budget that a campaign's mails of a day may count in. */
function allBudgetKeys(campaign: CampaignFacts, mailboxes: readonly SendingMailbox[], at: Date): BudgetKey[] {
  return mailboxes.flatMap((mailbox) => budgetKeys(campaign, mailbox, at))
}

function addressDays(mailboxes: readonly SendingMailbox[], at: Date): AddressDay[] {
  const day = localDay(at, 'UTC')
  const ids = new Set(mailboxes.map(({ address }) => address?.id).filter((id) => id !== undefined))
  return [...ids].map((addressId) => ({ addressId, day }))
}

/** The cursor of a plan that begins anew. */
const ANEW = 'anew'

function writeCursor(cursor: PlanCursor): string {
  return Buffer.from(JSON.stringify(cursor)).toString('base64url')
}

function readCursor(text: string | null | undefined): PlanCursor | null {
  if (!text || text === ANEW) return null
  try {
    return JSON.parse(Buffer.from(text, 'base64url').toString('utf8'))
  } catch (cause) {
    throw new AppError('INVALID_INPUT', 'cursor: is none of ours', { cause })
  }
}
