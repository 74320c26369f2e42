import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { parseMail } from '../../../subgraphs/content/services/mailParsing.ts'
import { corpusMails, mail, mailWithFiles, PLAIN } from './mails.ts'

describe('real mail', () => {
  test('is read without exception: addresses, ids, a body, headers', async () => {
    const statuses: string[] = []
    for (const raw of corpusMails(12)) {
      const { parseStatus, envelope, headers, text, html, files } = await parseMail(raw)
      statuses.push(parseStatus)
      expect(envelope.fromEmail === null || envelope.fromEmail === envelope.fromEmail.toLowerCase()).toBe(true)
      expect(Object.keys(headers).length).toBeGreaterThan(3)
      expect(text !== null || html !== null || files.length > 0).toBe(true)
    }
    expect(statuses).toHaveLength(504)
    expect(statuses.filter((status) => status === 'unparsed')).toEqual([])
    expect(statuses.filter((status) => status === 'parsed').length).toBeGreaterThan(470)
  })
})

describe('a well-made mail', () => {
  test('gives its envelope with lower-case addresses and ids in brackets', async () => {
    const { envelope, parseStatus, parseProblems } = await parseMail(
      mail([
        'From: "Ada, Countess" <Ada@Sender.example>',
        'To: Bob <BOB@rcpt.example>, team: x@y.example, z@y.example;',
        'Cc: carol@rcpt.example',
        'Delivered-To: inbox@rcpt.example',
        'Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= from',
        ' afar',
        'Date: Sun, 22 Nov 2026 09:00:00 +0100 (CET)',
        'Message-ID: <m1@sender.example>',
        'In-Reply-To: <m0@rcpt.example>',
        'References: <r1@x.example>',
        '\t<m0@rcpt.example>',
      ]),
    )
    expect({ parseStatus, parseProblems }).toEqual({ parseStatus: 'parsed', parseProblems: [] })
    expect(envelope).toEqual({
      messageId: '<m1@sender.example>',
      inReplyTo: ['<m0@rcpt.example>'],
      references: ['<r1@x.example>', '<m0@rcpt.example>'],
      fromEmail: 'ada@sender.example',
      replyTo: null,
      toEmails: ['inbox@rcpt.example', 'bob@rcpt.example', 'x@y.example', 'z@y.example', 'carol@rcpt.example'],
      subject: 'Grüße from afar',
      date: new Date('2026-11-22T08:00:00Z'),
    })
  })

  test('gives both bodies, and its files with the type their bytes have', async () => {
    const png = Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex').toString('base64')
    const { files, text, html } = await parseMail(
      mailWithFiles(
        { headers: ['Content-Type: text/html'], body: '<p>Hi</p>' },
        { headers: ['Content-Type: application/pdf; name=a.pdf', 'Content-Transfer-Encoding: base64'], body: png },
        { headers: ['Content-Type: image/png; name=b.png', 'Content-Disposition: attachment'], body: 'just text' },
        { headers: ['Content-Type: text/calendar; name=c.ics', 'Content-ID: <c@x>'], body: 'BEGIN:VCALENDAR' },
      ),
    )
    expect({ text, html }).toEqual({ text: 'See the files.', html: '<p>Hi</p>' })
    expect(files.map(({ filename, mimeType, contentId }) => [filename, mimeType, contentId])).toEqual([
      ['a.pdf', 'image/png', null],
      ['b.png', 'text/plain', null],
      ['c.ics', 'text/calendar', 'c@x'],
    ])
  })
})

describe('a file name', () => {
  test.each([
    ['../../etc/passwd', 'passwd'],
    ['C:\\Windows\\system32\\cmd.exe', 'cmd.exe'],
    ['..', 'attachment-1'],
    ['.bashrc', 'bashrc'],
    ['evil\u202Egpj.exe', 'evilgpj.exe'],
    ['a<b>|c?.txt', 'a_b__c_.txt'],
    [`${'x'.repeat(300)}.pdf`, `${'x'.repeat(251)}.pdf`],
  ])('%j is kept as %j', async (name, kept) => {
    const encoded = `=?utf-8?b?${Buffer.from(name).toString('base64')}?=`
    const headers = ['Content-Type: application/octet-stream', `Content-Disposition: attachment; filename="${encoded}"`]
    const { files } = await parseMail(mailWithFiles({ headers, body: 'x' }))
    expect(files.map(({ filename }) => filename)).toEqual([kept])
  })
})

describe('what is no mail', () => {
  test.each([
    ['an image', Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex')],
    ['a text', Buffer.from('Dear diary,\n\nToday: nothing.\n')],
    ['a text whose first line has a colon', Buffer.from('Note: buy milk\n\nand bread\n')],
    ['null bytes', Buffer.alloc(10_000)],
    ['one line of a megabyte', Buffer.alloc(1_000_000, 'x')],
    ['one byte', Buffer.from('x')],
  ])('%s is unparsed and says nothing', async (_name, raw) => {
    expect(await parseMail(raw)).toMatchObject({
      parseStatus: 'unparsed',
      parseProblems: ['not_a_mail'],
      text: null,
      html: null,
      files: [],
      headers: {},
      messageKind: 'email',
    })
  })
})

describe('a broken mail is read as far as it can be', () => {
  test('with a null byte: removed from text, header and names', async () => {
    const raw = mail(['From: a@b.example', 'Subject: nu\0ll', 'Message-ID: <nu\0ll@x>'], 'be\0fore')
    const { parseStatus, text, headers, envelope } = await parseMail(raw)
    expect({ parseStatus, text: text?.trim(), subject: envelope.subject, id: envelope.messageId }).toEqual({
      parseStatus: 'partial',
      text: 'before',
      subject: 'null',
      id: '<null@x>',
    })
    expect(JSON.stringify(headers)).not.toContain('\\u0000')
  })

  test('in a charset that nobody knows', async () => {
    const head = [...PLAIN, 'Content-Type: text/plain; charset=x-klingon']
    const { parseStatus, parseProblems, text } = await parseMail(mail(head, 'nuqneH'))
    expect({ parseStatus, parseProblems, text: text?.trim() }).toEqual({
      parseStatus: 'partial',
      parseProblems: ['unknown_charset'],
      text: 'nuqneH',
    })
  })

  test('with bytes its charset does not have: replaced', async () => {
    const head = Buffer.from('From: a@b.example\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n')
    const { parseStatus, text } = await parseMail(Buffer.concat([head, Buffer.from([0x61, 0xff, 0x62])]))
    expect({ parseStatus, text }).toEqual({ parseStatus: 'partial', text: 'a\ufffdb' })
  })

  test('without a charset: UTF-8 where it is that, else windows-1252, told as a guess', async () => {
    const read = async (body: Buffer) => parseMail(Buffer.concat([Buffer.from('From: a@b.example\r\n\r\n'), body]))
    expect(await read(Buffer.from('süß'))).toMatchObject({ parseStatus: 'parsed', text: 'süß' })
    expect(await read(Buffer.from('süß €', 'latin1'))).toMatchObject({
      parseStatus: 'partial',
      parseProblems: ['undeclared_charset'],
    })
    const encoded = ['From: a@b.example', 'Content-Transfer-Encoding: quoted-printable']
    expect(await parseMail(mail(encoded, 's=FC=DF'))).toMatchObject({ parseStatus: 'partial', text: 'süß\n' })
  })

  test('with 10,000 fields: the essential and the first thousand', async () => {
    const flood = Array.from({ length: 10_000 }, (_, index) => `X-Flood-${index}: ${index}`)
    const { parseStatus, parseProblems, headers, envelope, text } = await parseMail(mail([...flood, ...PLAIN]))
    expect({ parseStatus, parseProblems }).toEqual({ parseStatus: 'partial', parseProblems: ['header_cut'] })
    expect(Object.keys(headers)).toHaveLength(1004)
    expect(envelope).toMatchObject({
      fromEmail: 'ada@sender.example',
      messageId: '<a1@sender.example>',
      subject: 'Hello',
    })
    expect(text?.trim()).toBe('Hello there.')
  })

  test('with a field of a megabyte, or a hundred that are large', async () => {
    const wide = await parseMail(mail([`X-Wide: ${'w'.repeat(1_000_000)}`, ...PLAIN]))
    expect(JSON.stringify(wide.headers).length).toBeLessThan(20_000)
    const many = await parseMail(mail([...Array(100).fill(`X-Many: ${'m'.repeat(10_000)}`), ...PLAIN]))
    expect(JSON.stringify(many.headers).length).toBeLessThan(140_000)
    for (const { parseStatus, envelope, text } of [wide, many]) {
      expect({ parseStatus, subject: envelope.subject, text: text?.trim() }).toEqual({
        parseStatus: 'partial',
        subject: 'Hello',
        text: 'Hello there.',
      })
    }
  })

  test('with fields named like parts of every object', async () => {
    const { headers } = await parseMail(mail([...PLAIN, '__proto__: x', 'constructor: y', 'X-Twice: 1', 'X-Twice: 2']))
    expect(Object.getPrototypeOf(headers)).toBe(Object.prototype)
    expect(JSON.parse(JSON.stringify(headers))).toMatchObject({ constructor: 'y', 'x-twice': ['1', '2'] })
    expect(Object.hasOwn(headers, '__proto__')).toBe(true)
  })

  test('that says it has parts and has none', async () => {
    const raw = mail([...PLAIN, 'Content-Type: multipart/mixed; boundary=never'], 'no boundary here')
    expect(await parseMail(raw)).toMatchObject({ parseStatus: 'partial', parseProblems: ['multipart_without_parts'] })
  })

  test('that stops in the middle of a part', async () => {
    const { text, files } = await parseMail(
      mail(
        [...PLAIN, 'Content-Type: multipart/mixed; boundary=b'],
        ['--b', '', 'text', '--b', 'Content-Type: image/png'],
      ),
    )
    expect({ text, files: files.length }).toEqual({ text: 'text', files: 1 })
  })

  test('with an impossible date, no From and junk in References', async () => {
    const raw = mail([
      'Subject: x',
      'Date: yesterday-ish',
      `References: ${'<junk '.repeat(2000)}`,
      'From: nobody at all',
    ])
    expect((await parseMail(raw)).envelope).toMatchObject({ date: null, fromEmail: null, references: [] })
  })
})

describe('hostile mail costs a moment, not minutes', () => {
  test.each([
    ['parts nested 5,000 deep', () => nested(5000)],
    ['20,000 parts', () => mail(multipart('b'), Array(20_000).fill('--b\r\n\r\nx'))],
    ['3 million empty lines', () => mail(PLAIN, '\r\n'.repeat(3_000_000))],
    ['an unclosed encoded word of 1 MB', () => mail([...PLAIN, `X-Word: ${'=?utf-8?q?'.repeat(100_000)}`])],
    ['an address list of 1 MB', () => mail([`To: ${'a@b.example,'.repeat(80_000)}`, ...PLAIN])],
    ['HTML of 5 MB of open tags', () => mail([...PLAIN, 'Content-Type: text/html'], '<'.repeat(5_000_000))],
    ['a header without end', () => Buffer.from(`From: a@b.example\r\n${'X: y\r\n'.repeat(2_000_000)}`)],
    [
      '20 MB of base64 on one line',
      () => mail([...PLAIN, 'Content-Transfer-Encoding: base64'], 'QUFB'.repeat(5_000_000)),
    ],
  ])(
    '%s',
    async (_name, make) => {
      const raw = make()
      const started = performance.now()
      const { parseStatus } = await parseMail(raw)
      expect(['parsed', 'partial']).toContain(parseStatus)
      expect(performance.now() - started).toBeLessThan(30_000)
    },
    60_000,
  )

  function multipart(boundary: string): string[] {
    return [...PLAIN, `Content-Type: multipart/mixed; boundary=${boundary}`]
  }

  function nested(depth: number): Buffer {
    const levels = Array.from({ length: depth }, (_, level) => [
      `--b${level}`,
      `Content-Type: multipart/mixed; boundary=b${level + 1}`,
      '',
    ])
    return mail(multipart('b0'), levels.flat())
  }
})

test('whatever the bytes, parsing answers with something PostgreSQL takes', async () => {
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    fc
      .constantFrom('From: a@b.example\r\n', 'Content-Type: multipart/mixed; boundary=b\r\n', '--b\r\n', '\r\n', '\n')
      .map(Buffer.from),
    fc
      .constantFrom('Content-Transfer-Encoding: base64\r\n', '=?utf-8?b?AA==?=', 'Subject: \ud800\0\r\n', '--b--')
      .map(Buffer.from),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 12 }), async (pieces) => {
      const { files, ...parsed } = await parseMail(Buffer.concat(pieces))
      const names = files.map(({ filename, declaredMimeType, contentId }) => [filename, declaredMimeType, contentId])
      const json = JSON.stringify([parsed, names])
      expect(json).not.toMatch(/\\u0000|\\ud[89a-f]/i)
    }),
    { numRuns: 300 },
  )
})
