import { Context, Liquid, type Template } from 'liquidjs'
import type { TemplatePart } from './templateText.ts'

/** Characters of one part; far more than any mail has. */
export const MAX_TEMPLATE_LENGTH = 200_000

/**
 * Steps (a text, a variable, a tag, a turn of a loop) that one part may take. Counted, not timed: whether a template ends
 * must not depend on how busy the machine is.
 */
const MAX_STEPS = 20_000

/** What liquidjs itself says when its own limit, a time, is met. */
export const TOO_MANY_STEPS = 'template render limit exceeded'

/** What one rendering may make anew, in characters and list items: a loop over a range is charged for the whole range. */
const MEMORY_LIMIT = 500_000

/** Tags that read other templates; there are none to be read. */
const FOREIGN_TAGS = ['include', 'render', 'layout', 'block']

/** HTML escapes what it puts in; text and subject don't. */
const htmlEngine = makeEngine({ outputEscape: 'escape' })
const textEngine = makeEngine({})

/** The engine that a part of a template is parsed and rendered with. */
export function engineFor(part: TemplatePart): Liquid {
  return part === 'bodyHtml' ? htmlEngine : textEngine
}

/** Renders a parsed part; what it throws is liquidjs's own. */
export function renderPart(part: TemplatePart, parsed: Template[], scope: object): string {
  const engine = engineFor(part)
  const context = new Context(scope, engine.options, { sync: true }, { liquid: engine })
  let steps = 0
  context.renderLimit.check = () => {
    steps += 1
    if (steps > MAX_STEPS) throw new Error(TOO_MANY_STEPS)
  }
  return String(engine.renderSync(parsed, context))
}

/**
 * Unknown variables and filters are errors; a missing one may be asked about (`if`) or given a `default`. Only what the
 * scope itself holds can be reached, no file is ever read, and what does not end is ended.
 */
function makeEngine(options: { outputEscape?: 'escape' }): Liquid {
  const engine = new Liquid({
    ...options,
    strictVariables: true,
    strictFilters: true,
    lenientIf: true,
    ownPropertyOnly: true,
    templates: {},
    timezoneOffset: 'UTC',
    locale: 'en-US',
    parseLimit: MAX_TEMPLATE_LENGTH,
    memoryLimit: MEMORY_LIMIT,
  })
  for (const tag of FOREIGN_TAGS) delete engine.tags[tag]
  return engine
}
