import { Liquid, type Template } from 'liquidjs'
import type { TemplatePart } from './templateText.ts'

/** Characters of one part; far more than any mail has. */
export const MAX_TEMPLATE_LENGTH = 200_000

/** Milliseconds one part may take, of a mail that takes a fraction of one: rendering is the whole process's time. */
const RENDER_LIMIT_MS = 250

/** What one rendering may make anew, in characters and list items: a loop over a range is charged for the whole range. */
const MEMORY_LIMIT = 2_000_000

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
  return String(engineFor(part).renderSync(parsed, scope))
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
    renderLimit: RENDER_LIMIT_MS,
    memoryLimit: MEMORY_LIMIT,
  })
  for (const tag of FOREIGN_TAGS) delete engine.tags[tag]
  return engine
}
