import type { PlannedStep, SendingMailbox } from '../sending/campaignFacts.ts'
import { blocker, type Finding, warning } from './preflightFindings.ts'

/** Whether the sequence does something, from its first step to its last. */
export function checkSequence(steps: readonly PlannedStep[], emails: readonly PlannedStep[]): Finding[] {
  if (emails.length === 0) return [blocker('no_email_step', 'no active step sends a mail')]
  const idle = steps.length - 1 - steps.findLastIndex(({ stepType }) => stepType === 'email')
  return idle === 0 ? [] : [warning('step_without_effect', 'steps after the last mail have no effect', idle)]
}

/** Whether there are mailboxes that may send. */
export function checkMailboxes(mailboxes: readonly SendingMailbox[], emails: readonly PlannedStep[]): Finding[] {
  const findings: Finding[] = []
  const byId = new Map(mailboxes.map((mailbox) => [mailbox.id, mailbox]))
  for (const { stepOrder, emailAccountId } of emails) {
    if (emailAccountId === null) continue
    const mailbox = byId.get(emailAccountId)
    if (!mailbox) findings.push(blocker('mailbox_missing', `the mailbox of step ${stepOrder} is gone`))
    else if (mailbox.status !== 'active') {
      findings.push(
        blocker('mailbox_inactive', `the mailbox of step ${stepOrder}, ${mailbox.email}, is ${mailbox.status}`),
      )
    }
  }
  const sending = mailboxes.filter(({ status }) => status === 'active')
  const unverified = sending.filter(({ isActive }) => !isActive)
  const named = new Set(emails.map(({ emailAccountId }) => emailAccountId))
  if (emails.length > 0 && sending.length === 0) findings.push(blocker('no_active_mailbox', 'no mailbox is active'))
  if (unverified.length > 0) {
    // A mailbox that nobody counts on is left out.
    const blocks = unverified.length === sending.length || unverified.some(({ id }) => named.has(id))
    const message = 'the domain of a mailbox is not verified'
    findings.push((blocks ? blocker : warning)('domain_not_verified', message, unverified.length))
  }
  const idle = mailboxes.length - sending.length
  if (idle > 0 && sending.length > 0) findings.push(warning('mailboxes_idle', 'some mailboxes are not active', idle))
  return findings
}

type CheckedLeads = {
  leads: number
  mailable: number
  suppressed: number
  incomplete: number
  sample: { failed: number; problem: string | null }
}

/** Whether there is somebody to write to, and something to write to them. */
export function checkLeads({ leads, mailable, suppressed, incomplete, sample }: CheckedLeads): Finding[] {
  const findings: Finding[] = []
  if (mailable === 0)
    findings.push(blocker('no_leads', leads === 0 ? 'there are no leads' : 'all leads are suppressed'))
  if (suppressed > 0) findings.push(warning('leads_suppressed', 'some leads must not be written to', suppressed))
  const broken = Math.max(incomplete, sample.failed)
  if (broken > 0) {
    const message = `content can't be rendered for some leads${sample.problem ? `: ${sample.problem}` : ', who lack a field'}`
    findings.push(blocker('content_not_rendered', message, broken))
  }
  return findings
}

/** What plan, mailboxes and addresses let through. */
export function checkLimits(figures: {
  active: readonly SendingMailbox[]
  capacityPerDay: number
  planRoom: number | null
  plannedMailCount: number
  expectedFinishAt: Date | null
}): Finding[] {
  const { active, capacityPerDay, planRoom, plannedMailCount, expectedFinishAt } = figures
  const findings: Finding[] = []
  if (planRoom === 0) findings.push(blocker('plan_limit_reached', 'the plan allows no more mails in this period', 0))
  else if (planRoom !== null && planRoom < plannedMailCount) {
    const message = 'the plan allows fewer mails in this period than the campaign may need'
    findings.push(warning('plan_limit_near', message, planRoom))
  }
  if (active.length > 0 && capacityPerDay === 0) {
    findings.push(blocker('no_capacity', 'the mailboxes, their domains or addresses may send nothing today', 0))
  }
  const withoutAddress = active.filter(({ address }) => address === null).length
  if (withoutAddress > 0) {
    findings.push(warning('no_address', 'some mailboxes send from no address of ours', withoutAddress))
  }
  if (plannedMailCount > 0 && capacityPerDay > 0 && expectedFinishAt === null) {
    findings.push(warning('finish_far_away', 'the last mail would not leave within a year, or the plan ends before it'))
  }
  return findings
}
