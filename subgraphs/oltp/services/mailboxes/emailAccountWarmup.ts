import type { PauseEmailAccountInput, PauseWarmupInput, SetDailyLimitInput, StartWarmupInput } from '#graphql/oltp'
import { now } from '#platform/clock.ts'
import { AppError } from '#platform/errors.ts'
import { readId } from '#platform/graph/ids.ts'
import type { Context } from '../../context.ts'
import { changeAudited } from '../changes.ts'
import { wakeCampaignsOfDomain } from '../domains/domainWaking.ts'
import type { EmailAccountRow } from '../rows.ts'
import { updateRow } from '../tenantRows.ts'
import { readOptionalText } from '../texts.ts'
import { getEmailAccount, type LockedMailbox, lockMailbox, readDailyLimit } from './emailAccountChanges.ts'

/**
 * Sets how many mails a mailbox sends a day; what is planned already stays planned.
 * @throws AppError NOT_FOUND; INVALID_INPUT unless it is between 0 and 2000
 */
export function setDailyLimit(context: Context, input: SetDailyLimitInput): Promise<EmailAccountRow> {
  const dailyLimit = readDailyLimit(input.dailyLimit)
  return changeMailbox(context, input.emailAccountId, 'emailAccount.setDailyLimit', () => ({ dailyLimit }))
}

/**
 * Has a mailbox begin its warmup, or go on with one that was paused, in whose days it stands where it would without the
 * pause.
 * @throws AppError NOT_FOUND; CONFLICT for one that warms up already
 */
export function startWarmup(context: Context, input: StartWarmupInput): Promise<EmailAccountRow> {
  return changeMailbox(context, input.emailAccountId, 'emailAccount.startWarmup', (before) => {
    if (before.warmupStatus === 'active') throw new AppError('CONFLICT', 'the mailbox is warming up')
    const goesOn = before.warmupStatus === 'paused' && before.warmupStartedAt !== null
    return { warmupStatus: 'active', warmupStartedAt: goesOn ? before.warmupStartedAt : now() }
  })
}

/**
 * Pauses a mailbox's warmup.
 * @throws AppError NOT_FOUND; CONFLICT for one that does not warm up
 */
export function pauseWarmup(context: Context, input: PauseWarmupInput): Promise<EmailAccountRow> {
  return changeMailbox(context, input.emailAccountId, 'emailAccount.pauseWarmup', (before) => {
    if (before.warmupStatus !== 'active') throw new AppError('CONFLICT', 'the mailbox is not warming up')
    return { warmupStatus: 'paused' }
  })
}

/**
 * Has a mailbox send nothing until it is activated again; what is queued from it waits.
 * @throws AppError NOT_FOUND; CONFLICT unless it is active; INVALID_INPUT
 */
export function pauseEmailAccount(context: Context, input: PauseEmailAccountInput): Promise<EmailAccountRow> {
  const pausedReason = readOptionalText(input.reason, 'reason', 500) ?? 'paused by a person'
  return changeMailbox(context, input.emailAccountId, 'emailAccount.pause', (before) => {
    if (before.status !== 'active') throw new AppError('CONFLICT', `the mailbox is ${before.status}`)
    return { status: 'paused', pausedReason, pausedAt: now() }
  })
}

async function changeMailbox(
  context: Context,
  emailAccountId: string,
  action: string,
  change: (before: LockedMailbox) => Partial<EmailAccountRow>,
): Promise<EmailAccountRow> {
  const id = readId(emailAccountId, 'emailAccountId')
  await changeAudited(context, async (tx, record) => {
    const before = await lockMailbox(tx, id)
    const newValues = change(before)
    await updateRow(tx, 'email_accounts', id, newValues)
    // Campaigns plan again: there may be more room than there was, or less.
    await wakeCampaignsOfDomain(tx, before.domainId)
    const names = Object.keys(newValues).filter((name) => name in before) as (keyof LockedMailbox)[]
    const oldValues = Object.fromEntries(names.map((name) => [name, before[name]]))
    await record({ action, resourceType: 'EmailAccount', resourceId: id, oldValues, newValues })
  })
  return getEmailAccount(context, id)
}
