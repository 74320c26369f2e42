import type { FastifyReply } from 'fastify'

/** What a page is about, for people who have just come from a mail. */
type Page = { status: number; title: string; text: string; button?: string }

const ASK: Page = {
  status: 200,
  title: 'Unsubscribe',
  text: 'You will not be written to again by the sender of this mail.',
  button: 'Unsubscribe',
}
const DONE: Page = {
  status: 200,
  title: 'You are unsubscribed',
  text: 'The sender of this mail will not write to you again. You can close this page.',
}
const LATER: Page = {
  status: 503,
  title: 'That did not work yet',
  text: 'We could not take your request just now. Please try again in a minute.',
  button: 'Try again',
}
const UNKNOWN: Page = {
  status: 404,
  title: 'This link does not work',
  text: 'It may have been cut off. Please use the whole link from the mail.',
}

export const PAGES = { ask: ASK, done: DONE, later: LATER, unknown: UNKNOWN } as const

// No script, nothing from elsewhere, in no frame; the form goes back to where it came from.
const POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

const STYLE =
  'body{font:1.125rem/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto 0;padding:0 1.5rem;color:#1b1b1f;background:#fff}' +
  'button{font:inherit;padding:.6rem 1.4rem;border:0;border-radius:.4rem;color:#fff;background:#1d4ed8;cursor:pointer}' +
  'button:focus-visible{outline:3px solid #f59e0b;outline-offset:2px}' +
  '@media(prefers-color-scheme:dark){body{color:#eee;background:#18181b}}'

/** Answers with a page that works in every browser, without scripts, and that no cache keeps. */
export function sendPage(reply: FastifyReply, { status, title, text, button }: Page): FastifyReply {
  const form = button
    ? `<form method="post"><input type="hidden" name="List-Unsubscribe" value="One-Click"><button type="submit">${button}</button></form>`
    : ''
  return reply
    .code(status)
    .headers({
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': POLICY,
      ...PRIVATE,
      ...(status === 503 && { 'retry-after': '60' }),
    })
    .send(
      `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${title}</title>` +
        `<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex">` +
        `<style>${STYLE}</style></head><body><main><h1>${title}</h1><p>${text}</p>${form}</main></body></html>`,
    )
}

/** Kept by nobody on the way, in no index: each answer is one recipient's. */
export const PRIVATE = {
  'cache-control': 'no-store, private, max-age=0',
  'x-robots-tag': 'noindex, nofollow',
}
