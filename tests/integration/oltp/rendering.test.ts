import { createHash, createVerify, generateKeyPairSync, randomBytes } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { simpleParser } from 'mailparser'
import { v7 as uuidv7 } from 'uuid'
import { AppError } from '#platform/errors.ts'
import { makeTrackingKey } from '#platform/tracking/keys.ts'
import { CLICK_PATH, OPEN_PATH, UNSUBSCRIBE_PATH } from '#platform/tracking/links.ts'
import { readToken } from '#platform/tracking/tokens.ts'
import { checkTemplate } from '../../../subgraphs/oltp/services/rendering/checkTemplate.ts'
import { composeMail } from '../../../subgraphs/oltp/services/rendering/composeMail.ts'
import { makeMailRenderer } from '../../../subgraphs/oltp/services/rendering/renderMail.ts'
import type { TemplateText } from '../../../subgraphs/oltp/services/rendering/templateText.ts'
import { findUnsubscribedRef } from '../../../subgraphs/oltp/services/rendering/unsubscribeMail.ts'

const PUBLIC_URL = 'https://mail.test.example'
const keys = [makeTrackingKey(randomBytes(32))] as const
const renderer = makeMailRenderer({ publicUrl: PUBLIC_URL, keys })
const mail = { tenantId: uuidv7(), messageId: uuidv7() }

const lead = { email: 'lea@lead.example', name: 'Lea', company: 'Acme & Co', title: null, custom: { city: 'Köln' } }
const facts = (changes: { name?: string | null; custom?: object } = {}) => ({
  lead: { ...lead, ...changes },
  sender: { email: 'sam@sender.example', name: 'Sam' },
  company: { name: 'Sender Ltd' },
})
const text = (changes: Partial<TemplateText>): TemplateText => ({
  ...{ subject: 'Hello', bodyText: null, bodyHtml: null },
  ...changes,
})
const render = (changes: Partial<TemplateText>, who = facts()) => renderer.render(text(changes), mail, who)

function problemOf(work: () => unknown): { code: string; message: string; extensions: Record<string, unknown> } {
  try {
    work()
  } catch (error) {
    if (error instanceof AppError) return { code: error.code, message: error.message, extensions: error.extensions }
    throw error
  }
  throw new Error('nothing was refused')
}

describe('what a template may say', () => {
  test('its variables and custom fields are found, and whether one can unsubscribe by it', () => {
    const facts = checkTemplate(
      text({ bodyText: '{{ lead.name | default: "there" }} {{ lead.custom.city }} {{ unsubscribe_url }}' }),
    )
    expect(facts).toEqual({
      variables: ['lead.custom.city', 'lead.name', 'unsubscribe_url'],
      customFields: ['city'],
      hasUnsubscribeLink: true,
    })
    expect(checkTemplate(text({ bodyText: '{{ unsubscribe_url }}', bodyHtml: 'x' })).hasUnsubscribeLink).toBe(false)
  })

  test.each([
    ['{{ lead.nmae }}', 'there is no variable lead.nmae', { line: 1, column: 4, variable: 'lead.nmae' }],
    ['\n\n {{ secret }}', 'there is no variable secret', { line: 3, column: 5, variable: 'secret' }],
    ['{{ lead.constructor }}', 'there is no variable lead.constructor', { line: 1, column: 4 }],
    ['{{ lead.name | shout }}', 'undefined filter: shout', { line: 1 }],
    ['{{ lead.name', 'not closed', { line: 1 }],
    ['{% if lead.name %}', 'not closed', { line: 1 }],
    ['{% include "/etc/passwd" %}', 'tag "include" not found', { line: 1 }],
    ['{% render "x" %}', 'tag "render" not found', { line: 1 }],
    ['{% layout "x" %}', 'tag "layout" not found', { line: 1 }],
  ])('%s is refused, and where', (bodyText, problem, place) => {
    const refused = problemOf(() => checkTemplate(text({ bodyText })))
    expect(refused.code).toBe('INVALID_INPUT')
    expect(refused.message).toMatch(/^bodyText: /)
    expect(refused.message).toContain(problem)
    expect(refused.extensions).toMatchObject({ field: 'bodyText', ...place })
  })

  test('what is nested beyond all measure is refused', () => {
    const bodyText = '{% if true %}'.repeat(8000) + '{% endif %}'.repeat(8000)
    expect(problemOf(() => checkTemplate(text({ bodyText }))).code).toBe('INVALID_INPUT')
  })

  test('a loop that does not end is ended, and its line named', () => {
    const nested = (depth: number): string =>
      depth === 0 ? 'x' : `{% for i${depth} in (1..1000) %}${nested(depth - 1)}{% endfor %}`
    const refused = problemOf(() => checkTemplate(text({ bodyText: `fine\n${nested(5)}` })))
    expect(refused.code).toBe('INVALID_INPUT')
    expect(refused.message).toMatch(
      /^bodyText: takes too many steps at \{% for i\d in \(1\.\.1000\) %\} \(line 2, column \d+\)$/,
    )
    const huge = problemOf(() => checkTemplate(text({ bodyText: '{% for i in (1..999999999) %}x{% endfor %}' })))
    expect(huge.message).toContain('too long a list')
    const growing = '{% assign s = "aaaaaaaa" %}{% for i in (1..64) %}{% assign s = s | append: s %}{% endfor %}{{ s }}'
    expect(problemOf(() => checkTemplate(text({ bodyText: growing }))).code).toBe('INVALID_INPUT')
  })

  test('no body, and one beyond all measure, are refused', () => {
    expect(problemOf(() => checkTemplate(text({}))).code).toBe('INVALID_INPUT')
    expect(problemOf(() => checkTemplate(text({ bodyHtml: 'x'.repeat(200_001) }))).message).toMatch(/^bodyHtml: /)
  })
})

describe('what a lead gets', () => {
  test('its own fields; a missing one takes its default, and without one a custom field is an error that names it', () => {
    const bodyText = 'Dear {{ lead.name | default: "friend" }} of {{ lead.custom.city | default: "somewhere" }}'
    expect(render({ bodyText }).text).toContain('Dear Lea of Köln\n')
    expect(render({ bodyText }, facts({ name: null, custom: {} })).text).toContain('Dear friend of somewhere\n')
    expect(render({ bodyText: '[{{ lead.name }}]' }, facts({ name: null })).text).toContain('[]')
    const refused = problemOf(() => render({ bodyText: 'a\n{{ lead.custom.street }}' }))
    expect(refused).toMatchObject({
      code: 'INVALID_INPUT',
      message: 'bodyText: lead.custom.street has no value here (line 2, column 4)',
      extensions: { field: 'bodyText', line: 2, variable: 'lead.custom.street' },
    })
  })

  test('HTML is escaped, text is not', () => {
    const name = '<script>alert("x")</script>'
    const body = 'Hi {{ lead.name }} of {{ lead.company }}'
    const { text, html } = render({ bodyText: body, bodyHtml: `<p>${body}</p>` }, facts({ name }))
    expect(text).toContain(`Hi ${name} of Acme & Co`)
    expect(html).toContain('Hi &lt;script&gt;')
    expect(html).toContain('Acme &amp; Co')
    expect(html).not.toContain('<script>')
  })

  test('a name with line breaks becomes no header', async () => {
    const name = 'Lea\r\nBcc: everyone@x.example\r\n\r\n<b>'
    const rendered = render({ subject: 'Hi {{ lead.name }}', bodyText: 'x' }, facts({ name }))
    expect(rendered.subject).toBe('Hi Lea Bcc: everyone@x.example <b>')
    const raw = await compose({ mail: rendered, to: { email: lead.email, name }, from: { email: 'a@b.example', name } })
    const parsed = await simpleParser(raw)
    expect(parsed.headers.has('bcc')).toBe(false)
    expect(raw.toString()).not.toMatch(/^bcc:/im)
    await expect(compose({ to: { email: 'a@b.example\r\nBcc: c@d.example' } })).rejects.toThrow('to: is not an address')
  })

  test('every link of the HTML leads to its target by way of us, and nothing else is touched', () => {
    const bodyHtml = `<!doctype html><html><head><link rel="stylesheet" href="https://css.example/x.css"></head>
      <body class=x><!-- <a href="https://comment.example">c</a> -->
      <a class='b' href='https://shop.example/a?x=1&amp;y=2#z'>one</a> <A HREF=http://plain.example>two</A>
      <a href="mailto:x@y.example">mail</a> <a href="javascript:alert(1)">js</a> <a href="#top">top</a>
      <area href=" HTTPS://Area.example/Ü "><a href="{{ lead.custom.url | default: 'https://default.example/' }}">d</a>
      <a href="https://long.example/${'x'.repeat(3_000)}">long</a>
      <a href="{{ unsubscribe_url }}">out</a> <a>none</a></body></html>`
    const { html } = render({ bodyHtml })
    const hrefs = [...String(html).matchAll(/<(?:a|area)\b[^>]*?href=(["']?)([^"'>\s]+)\1/gi)].map(([, , href]) => href)
    const targets = hrefs.flatMap((href) =>
      href?.startsWith(PUBLIC_URL + CLICK_PATH)
        ? [readToken(href.slice((PUBLIC_URL + CLICK_PATH).length), 'click', keys)]
        : [],
    )
    expect(targets.map((token) => token?.url)).toEqual([
      'https://shop.example/a?x=1&y=2#z',
      'http://plain.example/',
      'https://area.example/%C3%9C',
      'https://default.example/',
    ])
    expect(targets.every((token) => token?.messageId === mail.messageId && token.tenantId === mail.tenantId)).toBe(true)
    expect(new Set(targets.map((token) => token?.linkIndex)).size).toBe(4)
    for (const untouched of ['https://css.example/x.css', 'mailto:x@y.example', 'javascript:alert(1)', '"#top"']) {
      expect(html).toContain(untouched)
    }
    expect(html).toContain('<!-- <a href="https://comment.example">c</a> -->')
    expect(html).toContain('https://long.example/xxx')
    const pixel = new RegExp(`<img src="${PUBLIC_URL}${OPEN_PATH}([\\w-]+)"[^>]*></body></html>$`).exec(String(html))
    expect(readToken(pixel?.[1] ?? '', 'open', keys)).toEqual({ kind: 'open', ...mail })
  })

  test('a way to unsubscribe is in every mail, once, and in its headers', () => {
    const without = render({ bodyText: 'Hello', bodyHtml: '<body><p>Hello</p></body>' })
    const url = /https:\S+\/u\/[\w-]+/.exec(without.text ?? '')?.[0] ?? ''
    expect(readToken(url.slice((PUBLIC_URL + UNSUBSCRIBE_PATH).length), 'unsubscribe', keys)).toMatchObject(mail)
    expect(without.html).toMatch(new RegExp(`<a href="${url}">Unsubscribe</a></p><img [^>]+></body>$`))
    const own = render({
      bodyText: 'Stop: {{ unsubscribe_url }}',
      bodyHtml: '<a href="{{ unsubscribe_url }}">stop</a>',
    })
    expect(own.text?.split(url)).toHaveLength(2)
    expect(own.html?.split(url)).toHaveLength(2)
    expect(own.headers['List-Unsubscribe-Post']).toBe('List-Unsubscribe=One-Click')
    expect(own.headers['List-Unsubscribe']).toContain(`<${url}>`)
    const mailto = /<mailto:sam@sender\.example\?subject=([^>]+)>/.exec(own.headers['List-Unsubscribe'] ?? '')?.[1]
    expect(findUnsubscribedRef(decodeURIComponent(mailto ?? ''))).toBe(mail.messageId)
    expect(findUnsubscribedRef('please unsubscribe me')).toBeNull()
  })
})

const REF = '01930000-aaaa-7bbb-8ccc-0123456789ab'

async function compose(changes: Partial<Parameters<typeof composeMail>[0]> = {}) {
  return composeMail({
    refId: REF,
    from: { email: 'sam@Sender.example', name: 'Sam Ünder' },
    to: { email: lead.email, name: 'Lea' },
    mail: render({ subject: 'Grüße {{ lead.name }}', bodyText: 'Täxt', bodyHtml: '<p>Täxt</p>' }),
    date: new Date('2026-11-26T10:00:00Z'),
    ...changes,
  })
}

describe('the mail on the wire', () => {
  test('says who, whom, when, and what it answers; its id is made from its reference', async () => {
    const raw = await compose({ thread: ['first@x.example', '<second@x.example>'] })
    const parsed = await simpleParser(raw)
    expect(parsed.messageId).toBe('<01930000aaaa7bbb8ccc0123456789ab@sender.example>')
    expect(parsed.subject).toBe('Grüße Lea')
    expect(parsed.from?.value).toEqual([{ address: 'sam@sender.example', name: 'Sam Ünder' }])
    expect(parsed.date).toEqual(new Date('2026-11-26T10:00:00Z'))
    expect(parsed.inReplyTo).toBe('<second@x.example>')
    expect(parsed.references).toEqual(['<first@x.example>', '<second@x.example>'])
    expect(parsed.text).toContain('Täxt')
    expect(parsed.html).toContain('<p>Täxt</p>')
    expect(raw.toString('latin1')).not.toMatch(/[^\r]\n/)
    expect(raw.toString()).toContain('List-Unsubscribe-Post: List-Unsubscribe=One-Click')
    expect(await compose({ thread: ['first@x.example', '<second@x.example>'] })).toEqual(raw)
  })

  test('is signed with the domain’s key, both unsubscribe headers included; an unusable key is told', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    const dkim = { domain: 'sender.example', selector: 'penguin', privateKey: pem }
    const raw = (await compose({ dkim })).toString('latin1')
    const tags = readDkimTags(raw)
    expect(tags).toMatchObject({ d: 'sender.example', s: 'penguin', a: 'rsa-sha256', c: 'relaxed/relaxed' })
    expect(tags.h?.split(':')).toEqual(
      expect.arrayContaining([
        'from',
        'to',
        'subject',
        'date',
        'message-id',
        'list-unsubscribe',
        'list-unsubscribe-post',
      ]),
    )
    expect(tags.bh).toBe(createHash('sha256').update(relaxedBody(raw), 'latin1').digest('base64'))
    const verify = createVerify('RSA-SHA256').update(relaxedHeaders(raw, tags.h ?? ''), 'latin1')
    expect(verify.verify(publicKey, tags.b ?? '', 'base64')).toBe(true)
    await expect(compose({ dkim: { ...dkim, privateKey: 'nonsense' } })).rejects.toThrow('could not be signed')
  })
})

// DKIM's relaxed canonicalization (RFC 6376, 3.4), so that the signature is checked by somebody who did not make it.
function readDkimTags(raw: string): Record<string, string> {
  const header = /^DKIM-Signature:([\s\S]*?)\r\n(?![ \t])/i.exec(raw)?.[1] ?? ''
  const pairs = header.split(';').map((tag) => tag.replace(/\s+/g, '').split(/=(.*)/s))
  return Object.fromEntries(pairs.map(([name, value]) => [name, value ?? '']))
}

function relaxedBody(raw: string): string {
  const body = raw.slice(raw.indexOf('\r\n\r\n') + 4)
  const lines = body.split('\r\n').map((line) => line.replace(/[ \t]+/g, ' ').replace(/ $/, ''))
  return `${lines.join('\r\n').replace(/(\r\n)*$/, '')}\r\n`
}

function relaxedHeaders(raw: string, names: string): string {
  const head = raw.slice(0, raw.indexOf('\r\n\r\n')).split(/\r\n(?![ \t])/)
  const relax = (line: string) => {
    const [, name = '', value = ''] = /^([^:]+):([\s\S]*)$/.exec(line) ?? []
    return `${name.toLowerCase().trim()}:${value
      .replace(/\r\n/g, '')
      .replace(/[ \t]+/g, ' ')
      .trim()}`
  }
  const find = (name: string) => head.find((line) => line.toLowerCase().startsWith(`${name}:`))
  const signed = names.split(':').flatMap((name) => find(name) ?? [])
  const own = relax(String(find('dkim-signature'))).replace(/([; ]b=)[^;]*$/, '$1')
  return `${signed.map(relax).join('\r\n')}\r\n${own}`
}
