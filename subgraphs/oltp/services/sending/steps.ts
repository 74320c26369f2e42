import type { StepRow } from '../rows.ts'

const HOUR_MS = 3_600_000

/** What the machine needs to know of a step; deleted ones are not given. */
export type Step = Pick<StepRow, 'id' | 'stepOrder' | 'stepType' | 'waitHours' | 'condition' | 'isActive'>

/** What is known of an earlier mail of the same enrollment. */
export type SentFacts = {
  stepId: string | null
  /** When it left, or may have; null for one that never did. */
  leftAt: Date | null
  humanOpenedAt: Date | null
  clickedAt: Date | null
  repliedAt: Date | null
}

export type Progress = {
  /** Order of the last step taken; 0 before the first. */
  currentStepOrder: number
  /** From when on the first step's hours count. */
  startedAt: Date
  /** Earlier mails, in any order. */
  messages: readonly SentFacts[]
}

/** What is to be done with an enrollment now. `order` is the last step that is behind it then. */
export type NextAction =
  | { kind: 'send'; step: Step; dueAt: Date }
  | { kind: 'wait'; until: Date }
  | { kind: 'complete'; order: number }

/**
 * What comes next for a lead: pure, the same answer for the same facts.
 *
 * The hours of wait steps and of the steps themselves add up from when the last mail left, or from the start. Inactive
 * steps are passed over with their hours. A condition is about the last mail that left; one that does not hold, whether
 * on an email step or as a step before it, skips the next email step, whose hours pass all the same. It is asked when the
 * mail would be planned and again when it leaves, so whoever opens in between is spared it.
 */
export function findNextAction(steps: readonly Step[], progress: Progress, now: Date): NextAction {
  const last = lastLeft(progress.messages)
  const taken = new Set(progress.messages.map(({ stepId }) => stepId))
  let dueAt = last?.leftAt ?? progress.startedAt
  let isSkipping = false
  let order = progress.currentStepOrder
  for (const step of inOrder(steps)) {
    if (step.stepOrder <= progress.currentStepOrder || !step.isActive || taken.has(step.id)) continue
    dueAt = new Date(dueAt.getTime() + step.waitHours * HOUR_MS)
    if (dueAt > now) return { kind: 'wait', until: dueAt }
    order = step.stepOrder
    if (step.stepType === 'wait') continue
    const holds = conditionHolds(step.condition, last)
    if (step.stepType === 'condition') {
      if (!holds) isSkipping = true
    } else if (holds && !isSkipping) {
      return { kind: 'send', step, dueAt }
    } else {
      isSkipping = false
    }
  }
  return { kind: 'complete', order }
}

/** Whether a mail that was planned may still leave: its conditions, asked again with what has happened since. */
export function mayStillSend(steps: readonly Step[], stepId: string, messages: readonly SentFacts[]): boolean {
  const last = lastLeft(messages)
  let isSkipping = false
  for (const step of inOrder(steps)) {
    if (!step.isActive && step.id !== stepId) continue
    if (step.stepType === 'condition') isSkipping ||= !conditionHolds(step.condition, last)
    if (step.stepType !== 'email') continue
    if (step.id === stepId) return !isSkipping && conditionHolds(step.condition, last)
    isSkipping = false
  }
  // The step is gone: its mail was planned when it was there.
  return true
}

function conditionHolds(condition: string, last: SentFacts | null): boolean {
  if (condition === 'if_not_opened') return !last?.humanOpenedAt
  if (condition === 'if_not_clicked') return !last?.clickedAt
  if (condition === 'if_not_replied') return !last?.repliedAt
  return true
}

function lastLeft(messages: readonly SentFacts[]): SentFacts | null {
  return messages.reduce<SentFacts | null>((last, message) => {
    if (!message.leftAt) return last
    return last?.leftAt && last.leftAt >= message.leftAt ? last : message
  }, null)
}

function inOrder(steps: readonly Step[]): Step[] {
  return [...steps].sort((a, b) => a.stepOrder - b.stepOrder)
}
