import { analyzeSync, type Template, type Variable } from 'liquidjs'
import { AppError } from '#platform/errors.ts'
import { compileTemplate } from './compileTemplate.ts'
import { renderPart } from './engines.ts'
import { explainTemplateError, isLimitError, templateError } from './templateErrors.ts'
import type { TemplatePart, TemplateText } from './templateText.ts'
import { isKnownVariable, sampleScope, variableName } from './variables.ts'

/** What a template is made of. */
export type TemplateFacts = {
  /** Every variable it uses, `lead.custom.city` among them, in alphabetical order. */
  variables: string[]
  /** Names below `lead.custom` that it uses. */
  customFields: string[]
  /** Whether it names `unsubscribe_url` in every body it has; one that doesn't gets a line added when it is sent. */
  hasUnsubscribeLink: boolean
}

const CUSTOM = 'lead.custom.'

/**
 * Checks what an author wrote: that it parses, uses variables that exist, and ends.
 * @throws AppError INVALID_INPUT with `extensions` field, line, column and, where one is at fault, variable
 */
export function checkTemplate(text: TemplateText): TemplateFacts {
  if (text.bodyText === null && text.bodyHtml === null) {
    throw new AppError('INVALID_INPUT', 'bodyText: a template has a text or an HTML body, or both')
  }
  const { parsed } = compileTemplate(text)
  const used = new Map<TemplatePart, Variable[]>()
  for (const [part, templates] of parsed) used.set(part, findVariables(part, templates))

  const namesIn = (part: TemplatePart) => (used.get(part) ?? []).map(variableName)
  const variables = [...new Set([...used.keys()].flatMap(namesIn))].sort()
  const customFields = variables.filter((name) => name.startsWith(CUSTOM)).map((name) => name.slice(CUSTOM.length))
  for (const [part, templates] of parsed) requireEnd(part, templates, customFields)

  const bodies = (['bodyText', 'bodyHtml'] as const).filter((part) => parsed.has(part))
  return {
    variables,
    customFields,
    hasUnsubscribeLink: bodies.every((part) => namesIn(part).includes('unsubscribe_url')),
  }
}

/** Variables that a part takes from outside; those it assigns itself are its own. */
function findVariables(part: TemplatePart, templates: Template[]): Variable[] {
  const variables = Object.values(analyzeSync(templates, { partials: false }).globals).flat()
  for (const variable of variables) {
    if (isKnownVariable(variable)) continue
    const { row: line, col: column } = variable.location
    const name = variableName(variable)
    throw templateError(part, `there is no variable ${name}`, { line, column, variable: name })
  }
  return variables
}

/** A trial with made-up values: what doesn't end with them ends with nobody's. What else they lead to proves nothing. */
function requireEnd(part: TemplatePart, templates: Template[], customFields: readonly string[]): void {
  try {
    renderPart(part, templates, sampleScope(customFields))
  } catch (error) {
    if (isLimitError(error)) throw explainTemplateError(error, part)
  }
}
