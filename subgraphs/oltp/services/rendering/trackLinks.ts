import { Parser } from 'htmlparser2'

/** What is put in place of part of a text, from `start` up to but not including `end`. */
type Replacement = { start: number; end: number; text: string }

/** Elements whose `href` a reader follows; others' (stylesheets, bases) are fetched or built upon. */
const LINKS: ReadonlySet<string> = new Set(['a', 'area'])

/**
 * The HTML with the target of each link replaced and a pixel at the end of its body; everything else stays as it was
 * written, character by character.
 * @param replaceHref the new target, or null to leave it; `linkIndex` counts links that have one
 */
export function trackLinks(
  html: string,
  { replaceHref, pixelUrl }: { replaceHref: (href: string, linkIndex: number) => string | null; pixelUrl: string },
): string {
  const replacements: Replacement[] = []
  let bodyEnd: number | null = null
  let element = ''
  let linkIndex = 0
  const parser = new Parser({
    onopentagname(name) {
      element = name
    },
    onattribute(name, value) {
      if (name !== 'href' || !LINKS.has(element)) return
      const target = replaceHref(value, linkIndex)
      linkIndex += 1
      if (target === null) return
      replacements.push({ start: parser.startIndex, end: parser.endIndex, text: `href="${escapeHtml(target)}"` })
    },
    onclosetag(name, isImplied) {
      if (name === 'body' && !isImplied) bodyEnd = parser.startIndex
    },
  })
  parser.end(html)
  const end = bodyEnd ?? html.length
  const pixel = `<img src="${escapeHtml(pixelUrl)}" alt="" width="1" height="1" style="display:block;width:1px;height:1px;border:0">`
  return replaceParts(html, [...replacements, { start: end, end, text: pixel }])
}

/** A text as HTML shows it. */
export function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}

/** Replaces parts that don't overlap, given in the order they stand in. */
function replaceParts(text: string, replacements: readonly Replacement[]): string {
  let done = 0
  const parts: string[] = []
  for (const { start, end, text: replacement } of replacements) {
    parts.push(text.slice(done, start), replacement)
    done = end
  }
  return parts.join('') + text.slice(done)
}
