import { realSpan } from '#platform/clock.ts'
import { localDay } from '../mailFlow/localDay.ts'
import type { CampaignFacts, PlannedStep, SendingMailbox } from './campaignFacts.ts'
import { isStopped } from './caps.ts'
import type { EarlierMail } from './dueEnrollments.ts'
import type { LeavingMail } from './leavingMails.ts'
import { mayStillSend } from './steps.ts'
import { isOpen } from './window.ts'

/** What is known at the moment a mail is to leave. */
export type SendFacts = {
  mail: LeavingMail
  /** Null for a mail of no campaign. */
  campaign: CampaignFacts | null
  steps: readonly PlannedStep[]
  earlier: readonly EarlierMail[]
  mailbox: SendingMailbox | null
}

/** Why a mail waits. */
export type HoldReason =
  | 'campaign_not_sending'
  | 'mailbox_paused'
  | 'window'
  | 'not_yet'
  | 'day_passed'
  /** What may leave today has left. */
  | 'day_full'
  /** Its address was taken out of use. */
  | 'address_stopped'
  /** Its mailbox leaves by another address than the one that was promised for it. */
  | 'address_changed'

/** Why a mail will not leave, in words that the message keeps. */
export type SendVerdict =
  | { kind: 'send' }
  | { kind: 'hold'; reason: HoldReason }
  | { kind: 'drop'; reason: string }
  /** Of an earlier attempt nobody can know whether it arrived: never again. */
  | { kind: 'unknown' }
  /** Another job is at it. */
  | { kind: 'busy' }
  /** There is nothing to do: it has left, or was given up. */
  | { kind: 'done' }

/**
 * Whether a mail may leave now, but for the caps of the day. Asked at the very moment, whatever was planned.
 * @param isRepeat whether whoever began to send it is gone
 */
export function decideSend(
  { mail, campaign, steps, earlier, mailbox }: SendFacts,
  at: Date,
  isRepeat: boolean,
): SendVerdict {
  if (mail.status === 'sending') {
    if (!isRepeat) return { kind: 'busy' }
    if (mail.acceptWindowAt) return { kind: 'unknown' }
  } else if (mail.status !== 'queued') return { kind: 'done' }

  if (mail.isSuppressed) return { kind: 'drop', reason: 'suppressed' }
  if (mail.campaignId !== null && !campaign) return { kind: 'drop', reason: 'campaign deleted' }
  if (campaign && (campaign.status === 'cancelled' || campaign.status === 'completed')) {
    return { kind: 'drop', reason: `campaign ${campaign.status}` }
  }
  if (mail.enrollmentStatus !== null && mail.enrollmentStatus !== 'active') {
    return { kind: 'drop', reason: mail.enrollmentStatus }
  }
  if (!mailbox) return { kind: 'drop', reason: MAILBOX_DELETED }
  if (mail.stepId !== null && !mayStillSend(steps, mail.stepId, earlier)) {
    return { kind: 'drop', reason: 'condition no longer holds' }
  }
  if (campaign && campaign.status !== 'sending') return { kind: 'hold', reason: 'campaign_not_sending' }
  if (!mailbox.isActive) return { kind: 'hold', reason: 'mailbox_paused' }
  if (campaign && mail.scheduledAt) {
    const isEarly = realSpan(mail.scheduledAt.getTime() - at.getTime()) > EARLY_MS
    if (isEarly && mail.status === 'queued') return { kind: 'hold', reason: 'not_yet' }
    if (mailbox.address && isStopped(mailbox.address)) return { kind: 'hold', reason: 'address_stopped' }
    if (mail.smtpIpAddressId !== (mailbox.address?.id ?? null)) return { kind: 'hold', reason: 'address_changed' }
    const { tenant } = campaign.timezones
    const isPromised = localDay(mail.scheduledAt, tenant) === localDay(at, tenant)
    if (!isPromised || localDay(mail.scheduledAt, 'UTC') !== localDay(at, 'UTC')) {
      return { kind: 'hold', reason: 'day_passed' }
    }
    if (!isOpen(campaign.window, campaign.timezones.campaign, at)) return { kind: 'hold', reason: 'window' }
  }
  return { kind: 'send' }
}

/** Why a mail is dropped whose lead gets it from another mailbox. */
export const MAILBOX_DELETED = 'mailbox deleted'

/** Two machines' clocks differ; a job that comes this much early is on time. Real milliseconds. */
const EARLY_MS = 5_000
