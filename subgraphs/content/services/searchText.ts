import type { ParsedMail } from './mailParsing.ts'
import { cutText } from './mailText.ts'

const MAX_WORDS_CHARACTERS = 32 * 1024
const MAX_PIECES_CHARACTERS = 2000

/** What a mail is found by: `words` of subject and body, `pieces` of subject, addresses and attachment names. */
export type SearchText = { words: string; pieces: string }

export function makeSearchText({ envelope, text, html, files }: ParsedMail): SearchText {
  const subject = envelope.subject ?? ''
  const body = text ?? (html === null ? '' : visibleText(html.slice(0, 4 * MAX_WORDS_CHARACTERS)))
  const pieces = [subject, envelope.fromEmail, ...envelope.toEmails, ...files.map(({ filename }) => filename)]
  return {
    words: cutText(`${subject}\n${body}`, MAX_WORDS_CHARACTERS),
    pieces: cutText(pieces.filter(Boolean).join('\n'), MAX_PIECES_CHARACTERS),
  }
}

/** HTML without tags, styles and scripts; one pass, as it meets hostile input. For searching, not for showing. */
export function visibleText(html: string): string {
  const lower = html.toLowerCase()
  const pieces: string[] = []
  let at = 0
  for (let open = html.indexOf('<'); open !== -1; open = html.indexOf('<', at)) {
    pieces.push(html.slice(at, open))
    const hidden = ['style', 'script'].find((name) => lower.startsWith(`<${name}`, open))
    const last = hidden ? lower.indexOf(`</${hidden}`, open) : open
    const close = last === -1 ? -1 : html.indexOf('>', last)
    if (close === -1) return pieces.join(' ')
    at = close + 1
  }
  return [...pieces, html.slice(at)].join(' ')
}
