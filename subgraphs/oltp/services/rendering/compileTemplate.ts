import type { Template } from 'liquidjs'
import { AppError } from '#platform/errors.ts'
import { engineFor, MAX_TEMPLATE_LENGTH, renderPart } from './engines.ts'
import { explainTemplateError } from './templateErrors.ts'
import { TEMPLATE_PARTS, type TemplatePart, type TemplateText } from './templateText.ts'

/** A template parsed once, to be rendered any number of times. */
export type CompiledTemplate = {
  parsed: ReadonlyMap<TemplatePart, Template[]>
  /**
   * The parts filled in, as they are.
   * @throws AppError INVALID_INPUT naming part, line and variable: one that this scope lacks, or a limit that was met
   */
  render(scope: object): TemplateText
}

/**
 * Parses a template.
 * @throws AppError INVALID_INPUT naming part, line and column
 */
export function compileTemplate(text: TemplateText): CompiledTemplate {
  const parsed = new Map<TemplatePart, Template[]>()
  for (const part of TEMPLATE_PARTS) {
    const source = text[part]
    if (source === null) continue
    if (source.length > MAX_TEMPLATE_LENGTH) {
      throw new AppError('INVALID_INPUT', `${part}: has more than ${MAX_TEMPLATE_LENGTH} characters`)
    }
    const parse = () => engineFor(part).parse(source)
    parsed.set(part, attempt(part, parse))
  }
  const render = (part: TemplatePart, scope: object): string | null => {
    const known = parsed.get(part)
    return known ? attempt(part, () => renderPart(part, known, scope)) : null
  }
  return {
    parsed,
    render: (scope) => ({
      subject: render('subject', scope) ?? '',
      bodyText: render('bodyText', scope),
      bodyHtml: render('bodyHtml', scope),
    }),
  }
}

function attempt<Result>(part: TemplatePart, work: () => Result): Result {
  try {
    return work()
  } catch (error) {
    throw explainTemplateError(error, part)
  }
}
