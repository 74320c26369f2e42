import { AppError } from '#platform/errors.ts'
import { readId } from '#platform/graph/ids.ts'
import { checkTemplate } from '../rendering/checkTemplate.ts'
import type { StepRow } from '../rows.ts'
import { readOptionalText } from '../texts.ts'

/** What a person sets of a step. */
export type StepSettings = Pick<
  StepRow,
  'stepType' | 'templateId' | 'emailAccountId' | 'subjectOverride' | 'waitHours' | 'condition' | 'isActive'
>

export const STEP_SETTINGS = [
  ...(['stepType', 'templateId', 'emailAccountId', 'subjectOverride'] as const),
  ...(['waitHours', 'condition', 'isActive'] as const),
] as const

type Given = { [Field in keyof StepSettings]?: StepSettings[Field] | null }

/** A year: a sequence that waits longer waits for ever. */
const MAX_WAIT_HOURS = 8_760

/**
 * A step's settings as they are stored: an email step has a template, a wait step hours, a condition step a condition,
 * and only an email step sends anything.
 * @throws AppError INVALID_INPUT naming the field
 */
export function readStep(given: Given): StepSettings {
  const step = {
    stepType: given.stepType ?? 'email',
    templateId: given.templateId == null ? null : readId(given.templateId, 'templateId'),
    emailAccountId: given.emailAccountId == null ? null : readId(given.emailAccountId, 'emailAccountId'),
    subjectOverride: readOptionalText(given.subjectOverride, 'subjectOverride', 998),
    waitHours: given.waitHours ?? 0,
    condition: given.condition ?? 'always',
    isActive: given.isActive ?? true,
  }
  if (step.waitHours < 0 || step.waitHours > MAX_WAIT_HOURS) {
    throw new AppError('INVALID_INPUT', `waitHours: must be between 0 and ${MAX_WAIT_HOURS}`)
  }
  if (step.stepType === 'email') checkEmailStep(step)
  else checkSilentStep(step)
  return step
}

function checkEmailStep({ templateId, subjectOverride }: StepSettings): void {
  if (!templateId) throw new AppError('INVALID_INPUT', 'templateId: an email step sends a template')
  if (subjectOverride !== null) checkTemplate({ subject: subjectOverride, bodyText: '', bodyHtml: null })
}

function checkSilentStep(step: StepSettings): void {
  for (const field of ['templateId', 'emailAccountId', 'subjectOverride'] as const) {
    if (step[field] !== null) throw new AppError('INVALID_INPUT', `${field}: only an email step has one`)
  }
  if (step.stepType === 'wait' && step.waitHours === 0) {
    throw new AppError('INVALID_INPUT', 'waitHours: a wait step waits at least an hour')
  }
  if ((step.stepType === 'condition') === (step.condition === 'always')) {
    const problem = step.stepType === 'wait' ? 'a wait step has none' : 'a condition step has one'
    throw new AppError('INVALID_INPUT', `condition: ${problem}`)
  }
}
