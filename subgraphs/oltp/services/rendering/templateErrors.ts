import { UndefinedVariableError } from 'liquidjs'
import { AppError } from '#platform/errors.ts'
import { TOO_MANY_STEPS } from './engines.ts'
import type { TemplatePart } from './templateText.ts'

/** What liquidjs's errors tell besides their message. */
type LiquidFault = Error & { token: { getPosition(): number[]; getText(): string }; originalError?: Error }

const LONGEST_QUOTE = 80

/** Which limit was met, by what liquidjs says of it. */
const LIMITS: readonly (readonly [string, string])[] = [
  [TOO_MANY_STEPS, 'takes too many steps'],
  ['memory alloc limit exceeded', 'makes too much text or too long a list'],
]

/**
 * What is wrong with a template as its author should read it: part, what, line and column. Anything but an error of
 * liquidjs stays what it is.
 */
export function explainTemplateError(error: unknown, part: TemplatePart): unknown {
  if (!isLiquidFault(error)) return error
  const [line = 1, column = 1] = error.token.getPosition()
  const limit = findLimit(error)
  if (limit) return templateError(part, `${limit[1]} at ${quote(error.token.getText())}`, { line, column }, error)
  const variable = variableOf(error)
  if (variable) return templateError(part, `${variable} has no value here`, { line, column, variable }, error)
  return templateError(part, error.message.replace(/, line:\d+, col:\d+$/, ''), { line, column }, error)
}

/** Whether rendering was ended because it would not have ended itself. */
export function isLimitError(error: unknown): boolean {
  return isLiquidFault(error) && findLimit(error) !== undefined
}

/** An AppError INVALID_INPUT that says where in which part. */
export function templateError(
  part: TemplatePart,
  problem: string,
  place: { line: number; column: number; variable?: string },
  cause?: unknown,
): AppError {
  const message = `${part}: ${problem} (line ${place.line}, column ${place.column})`
  return new AppError('INVALID_INPUT', message, { cause, extensions: { field: part, ...place } })
}

function findLimit({ message }: LiquidFault) {
  return LIMITS.find(([beginning]) => message.startsWith(beginning))
}

function variableOf(error: LiquidFault): string | null {
  if (!(error instanceof UndefinedVariableError)) return null
  return (error.originalError as { variableName?: string } | undefined)?.variableName ?? null
}

function quote(text: string): string {
  return text.length > LONGEST_QUOTE ? `${text.slice(0, LONGEST_QUOTE)}…` : text
}

function isLiquidFault(error: unknown): error is LiquidFault {
  return error instanceof Error && typeof (error as Partial<LiquidFault>).token?.getPosition === 'function'
}
