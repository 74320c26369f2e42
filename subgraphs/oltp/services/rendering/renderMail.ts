import { AppError } from '#platform/errors.ts'
import { clickUrl, openUrl, type TrackingOptions, unsubscribeUrl } from '#platform/tracking/links.ts'
import type { TrackedMail } from '#platform/tracking/tokens.ts'
import { cleanText } from '../texts.ts'
import { type CompiledTemplate, compileTemplate } from './compileTemplate.ts'
import type { TemplateText } from './templateText.ts'
import { escapeHtml, trackLinks } from './trackLinks.ts'
import { unsubscribeMailto } from './unsubscribeMail.ts'
import { type CompanyFacts, type LeadFacts, type SenderFacts, templateScope } from './variables.ts'

/** To whom and from whom a mail goes. */
export type MailFacts = { lead: LeadFacts; sender: SenderFacts; company: CompanyFacts }

/** A mail ready to be composed. `headers` let its recipient's program unsubscribe with one click (RFC 2369, RFC 8058). */
export type RenderedMail = {
  subject: string
  text: string | null
  html: string | null
  headers: Record<string, string>
}

/** Renders one campaign's mails; compiles each template once. */
export type MailRenderer = {
  /**
   * A mail as its recipient gets it: filled in, links and opens tracked, with a way to unsubscribe.
   * @throws AppError INVALID_INPUT naming part, line and variable
   */
  render(template: TemplateText, mail: TrackedMail, facts: MailFacts): RenderedMail
}

/** Templates kept compiled; a campaign has a handful. */
const MAX_COMPILED = 200

/** A subject longer than this is cut: a header line holds 998 bytes. */
const MAX_SUBJECT_LENGTH = 500

export function makeMailRenderer(tracking: TrackingOptions): MailRenderer {
  const compiled = new Map<string, CompiledTemplate>()
  const compile = (template: TemplateText): CompiledTemplate => {
    const key = JSON.stringify([template.subject, template.bodyText, template.bodyHtml])
    const known = compiled.get(key)
    if (known) return known
    const fresh = compileTemplate(template)
    if (compiled.size >= MAX_COMPILED) compiled.delete(compiled.keys().next().value as string)
    compiled.set(key, fresh)
    return fresh
  }
  return { render: (template, mail, facts) => renderMail(compile(template), mail, facts, tracking) }
}

/**
 * A compiled template as the mail that its recipient gets.
 * @throws AppError INVALID_INPUT naming part, line and variable
 */
export function renderMail(
  template: CompiledTemplate,
  mail: TrackedMail,
  facts: MailFacts,
  tracking: TrackingOptions,
): RenderedMail {
  const leaveUrl = unsubscribeUrl(mail, tracking)
  const parts = renderParts(template, facts, leaveUrl)
  const replaceHref = (href: string, linkIndex: number) =>
    href.trim() === leaveUrl ? null : clickUrl(mail, { href, linkIndex }, tracking)
  const { html } = parts
  return {
    ...parts,
    html: html === null ? null : trackLinks(html, { replaceHref, pixelUrl: openUrl(mail, tracking) }),
    headers: {
      'List-Unsubscribe': `<${leaveUrl}>, <${unsubscribeMailto(facts.sender.email, mail.messageId)}>`,
      'List-Unsubscribe-Post': 'List-Unsubscribe=One-Click',
    },
  }
}

/**
 * A template's parts for one lead, untracked; a body that names no way to unsubscribe gets a line that does.
 * @throws AppError INVALID_INPUT naming part, line and variable, or for a subject that is empty
 */
export function renderParts(template: CompiledTemplate, facts: MailFacts, leaveUrl: string) {
  const { subject, bodyText, bodyHtml } = template.render(templateScope({ ...facts, unsubscribeUrl: leaveUrl }))
  const line = cleanSubject(subject)
  if (line === '') throw new AppError('INVALID_INPUT', 'subject: is empty for this lead')
  return {
    subject: line,
    text: bodyText === null ? null : withTextLink(bodyText.replaceAll('\0', ''), leaveUrl),
    html: bodyHtml === null ? null : withHtmlLink(bodyHtml.replaceAll('\0', ''), leaveUrl),
  }
}

/** One line without control characters: what a lead is called must not become a header. */
function cleanSubject(subject: string): string {
  const line = subject.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ').trim()
  return cleanText(line, MAX_SUBJECT_LENGTH)?.trim() ?? ''
}

function withTextLink(text: string, leaveUrl: string): string {
  return text.includes(leaveUrl) ? text : `${text.trimEnd()}\n\nUnsubscribe: ${leaveUrl}\n`
}

function withHtmlLink(html: string, leaveUrl: string): string {
  if (html.includes(leaveUrl)) return html
  const line = `<p style="font-size:12px;color:#666"><a href="${escapeHtml(leaveUrl)}">Unsubscribe</a></p>`
  const end = html.search(/<\/body\s*>(?![\s\S]*<\/body\s*>)/i)
  return end < 0 ? html + line : html.slice(0, end) + line + html.slice(end)
}
