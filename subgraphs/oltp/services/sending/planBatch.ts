import { v7 as uuidv7 } from 'uuid'
import { AppError } from '#platform/errors.ts'
import type { Context } from '../../context.ts'
import { dedupKey, type RawMail, readRawMail } from '../mailFlow/rawMail.ts'
import { MAILS_PER_CALL, storeMails } from '../mailFlow/storedMail.ts'
import { composeMail, messageIdOf } from '../rendering/composeMail.ts'
import type { CampaignFacts, PlannedStep, SendingMailbox } from './campaignFacts.ts'
import type { DueEnrollment, EarlierMail } from './dueEnrollments.ts'
import type { QueuedMail } from './queuedMail.ts'
import { findNextAction } from './steps.ts'

/** A change of an enrollment, refused if it was changed by someone else since it was read. */
export type EnrollmentChange = {
  id: string
  version: number
  status: 'active' | 'completed' | 'bounced' | 'unsubscribed' | 'stopped'
  currentStepOrder: number
  nextRunAt: Date | null
  emailAccountId: string | null
  stopReason: string | null
}

/** A mail that is due: what step, to whom, after what. */
export type DueMail = { enrollment: DueEnrollment; step: PlannedStep; earlier: readonly EarlierMail[] }

/** What is to become of due enrollments, by the step machine: mails to be planned, and changes without a mail. */
export function decideDue(
  due: readonly DueEnrollment[],
  steps: readonly PlannedStep[],
  earlier: ReadonlyMap<string, readonly EarlierMail[]>,
  { campaign, at }: { campaign: CampaignFacts; at: Date },
): { mails: DueMail[]; changes: EnrollmentChange[] } {
  const mails: DueMail[] = []
  const changes: EnrollmentChange[] = []
  for (const enrollment of due) {
    const { id, version, currentStepOrder, emailAccountId, lead } = enrollment
    const kept = { id, version, currentStepOrder, emailAccountId, stopReason: null, nextRunAt: null }
    const messages = earlier.get(id) ?? []
    if (lead.isDeleted) {
      changes.push({ ...kept, status: 'stopped', stopReason: 'lead deleted' })
      continue
    }
    if (lead.isSuppressed) {
      changes.push({ ...kept, ...suppressedAs(lead.status) })
      continue
    }
    // Its mail has not left yet: it gets its time when that has.
    if (messages.some(({ status }) => status === 'queued' || status === 'sending')) {
      changes.push({ ...kept, status: 'active' })
      continue
    }
    const startedAt = new Date(Math.max(enrollment.createdAt.getTime(), campaign.startedAt?.getTime() ?? 0))
    const action = findNextAction(steps, { currentStepOrder, startedAt, messages }, at)
    if (action.kind === 'wait') changes.push({ ...kept, status: 'active', nextRunAt: action.until })
    else if (action.kind === 'complete') changes.push({ ...kept, status: 'completed', currentStepOrder: action.order })
    else mails.push({ enrollment, step: action.step as PlannedStep, earlier: messages })
  }
  return { mails, changes }
}

function suppressedAs(leadStatus: string): Pick<EnrollmentChange, 'status' | 'stopReason'> {
  if (leadStatus === 'unsubscribed') return { status: 'unsubscribed', stopReason: 'unsubscribed' }
  if (leadStatus === 'bounced') return { status: 'bounced', stopReason: 'bounced' }
  return { status: 'stopped', stopReason: 'suppressed' }
}

/** A mail with the mailbox and the time it was given. */
export type PlacedMail = DueMail & { mailbox: SendingMailbox; slot: Date }

/** A mail ready to be written, with what its enrollment becomes then. */
export type ComposedMail = { row: QueuedMail; change: EnrollmentChange; mailbox: SendingMailbox; raw: RawMail }

/**
 * Renders and stores mails, content first. One whose template cannot be filled in for its lead stops that lead alone.
 * @throws AppError UNAVAILABLE when the content tier does not answer; INTERNAL
 */
export async function composeMails(
  { content, mailRenderer, maxMessageBytes, requestId }: Context,
  mails: readonly PlacedMail[],
  { tenantId, campaign, at }: { tenantId: string; campaign: CampaignFacts; at: Date },
): Promise<{ composed: ComposedMail[]; changes: EnrollmentChange[] }> {
  const composed: ComposedMail[] = []
  const changes: EnrollmentChange[] = []
  // While the content tier stores some, the next are rendered.
  let storing = Promise.resolve()
  for (let from = 0; from < mails.length; from += MAILS_PER_CALL) {
    const ready = await composePart(mails.slice(from, from + MAILS_PER_CALL))
    composed.push(...ready)
    await storing
    storing = store(ready)
    storing.catch(() => undefined)
  }
  await storing
  return { composed, changes }

  async function composePart(part: readonly PlacedMail[]): Promise<ComposedMail[]> {
    const ready: ComposedMail[] = []
    for (const placed of part) {
      const { enrollment, step } = placed
      try {
        ready.push(await composeOne(placed))
      } catch (error) {
        if (!(error instanceof AppError) || !['INVALID_INPUT', 'LIMIT_REACHED'].includes(error.code)) throw error
        const stopReason = `step ${step.stepOrder}: ${error.message}`.slice(0, 500)
        const { id, version, currentStepOrder, emailAccountId } = enrollment
        changes.push({ id, version, currentStepOrder, emailAccountId, nextRunAt: null, status: 'stopped', stopReason })
      }
    }
    return ready
  }

  async function store(ready: readonly ComposedMail[]): Promise<void> {
    const raws = ready.map(({ raw }) => raw)
    const stored = await storeMails(content, raws, { tenantId, requestId })
    if (raws.some(({ storageKey }) => !stored.has(storageKey))) {
      throw new AppError('UNAVAILABLE', 'the content tier did not answer for every mail')
    }
  }

  async function composeOne({ enrollment, step, earlier, mailbox, slot }: PlacedMail): Promise<ComposedMail> {
    const { lead } = enrollment
    if (!step.template) throw new AppError('INVALID_INPUT', 'there is no template')
    const id = uuidv7()
    const rendered = mailRenderer.render(
      step.template,
      { tenantId, messageId: id },
      { lead, sender: { email: mailbox.email, name: mailbox.displayName }, company: { name: campaign.companyName } },
    )
    const left = earlier.filter(({ leftAt }) => leftAt !== null)
    const bytes = await composeMail({
      refId: id,
      from: { email: mailbox.email, name: mailbox.displayName },
      to: { email: lead.email, name: lead.name },
      mail: rendered,
      date: slot,
      thread: left.map(({ rfc822MessageId }) => rfc822MessageId).filter((known) => known !== null),
    })
    const raw = readRawMail(bytes.toString('base64'), maxMessageBytes)
    const messageId = messageIdOf(id, mailbox.email)
    const row: QueuedMail = {
      id,
      emailAccountId: mailbox.id,
      campaignId: campaign.id,
      stepId: step.id,
      leadId: enrollment.leadId,
      enrollmentId: enrollment.id,
      parentMessageId: left.at(-1)?.id ?? null,
      threadId: left[0]?.threadId ?? id,
      fromEmail: mailbox.email,
      toEmail: lead.email,
      subject: rendered.subject,
      rfc822MessageId: messageId,
      dedupKey: dedupKey(messageId, raw.hash),
      contentStorageKey: raw.storageKey,
      smtpIpAddressId: mailbox.address?.id ?? null,
      scheduledAt: slot,
      createdAt: at,
    }
    const { version } = enrollment
    const next = { status: 'active', currentStepOrder: step.stepOrder, nextRunAt: null, stopReason: null } as const
    return { row, raw, mailbox, change: { id: enrollment.id, version, emailAccountId: mailbox.id, ...next } }
  }
}
