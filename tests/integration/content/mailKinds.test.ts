import { describe, expect, test } from '@jest/globals'
import { parseMail } from '../../../subgraphs/content/services/mailParsing.ts'
import { corpusMails, deliveryReport, mail, PLAIN } from './mails.ts'
import { COMPLAINT, EXCHANGE, EXIM, GMAIL, LONELY_STATUS, POSTFIX, QMAIL, READ_RECEIPT, SENDMAIL } from './reports.ts'

const ORIGINAL = '<orig@sender.example>'
const RECIPIENT = 'gone@rcpt.example'

async function kindOf(raw: Buffer) {
  const { messageKind, report } = await parseMail(raw)
  return { messageKind, report }
}

/** What became of the mail for its first recipient. */
async function told(raw: Buffer) {
  const { report } = await parseMail(raw)
  return { ...report?.recipients[0], originalMessageId: report?.originalMessageId ?? null }
}

describe('a delivery report', () => {
  test('of a permanent failure is a hard bounce, with the mail it is about', async () => {
    const raw = deliveryReport([
      `Final-Recipient: rfc822; ${RECIPIENT}`,
      'Original-Recipient: rfc822;Other@rcpt.example',
      'Action: failed',
      'Status: 5.1.1',
      'Diagnostic-Code: smtp; 550 5.1.1 user',
      '  unknown',
    ])
    expect(await kindOf(raw)).toEqual({
      messageKind: 'bounce',
      report: {
        originalMessageId: ORIGINAL,
        recipients: [
          {
            recipient: RECIPIENT,
            originalRecipient: 'other@rcpt.example',
            outcome: 'bounced',
            bounceType: 'hard',
            status: '5.1.1',
            diagnostic: 'smtp; 550 5.1.1 user  unknown',
          },
        ],
      },
    })
  })

  test.each([
    ['failed for now', ['Action: failed', 'Status: 4.2.2'], 'soft', '4.2.2'],
    ['failed, mailbox full', ['Action: failed', 'Status: 5.2.2'], 'soft', '5.2.2'],
    ['failed, mailbox disabled', ['Action: failed', 'Status: 5.2.1'], 'hard', '5.2.1'],
    ['failed, no such host', ['Action: failed', 'Status: 5.1.2'], 'hard', '5.1.2'],
    ['failed, no route', ['Action: failed', 'Status: 5.4.4'], 'hard', '5.4.4'],
    ['failed, given up', ['Action: failed', 'Status: 5.4.7'], 'soft', '5.4.7'],
    ['failed, too large', ['Action: failed', 'Status: 5.3.4'], 'soft', '5.3.4'],
    ['refused by policy', ['Action: failed', 'Diagnostic-Code: smtp; 550 5.7.1 no'], 'soft', '5.7.1'],
    ['unknown, as some servers put it', ['Action: failed', 'Status: 5.5.0'], 'hard', '5.5.0'],
    ['bare reply code', ['Action: failed', 'Diagnostic-Code: smtp; 554 rejected'], 'hard', '5.0.0'],
    [
      'vaguely, but the other server is clear',
      ['Action: failed', 'Status: 5.0.0', 'Diagnostic-Code: smtp; 552-5.2.2 full'],
      'soft',
      '5.2.2',
    ],
    ['failed, and nobody says why', ['Action: failed'], 'soft', null],
  ])('that says %s', async (_name, fields, bounceType, status) => {
    const raw = deliveryReport([`Final-Recipient: rfc822; ${RECIPIENT}`, ...fields])
    expect((await kindOf(raw)).messageKind).toBe('bounce')
    expect(await told(raw)).toMatchObject({ outcome: 'bounced', bounceType, status, originalMessageId: ORIGINAL })
  })

  test('tells of each recipient', async () => {
    const raw = deliveryReport([
      'Final-Recipient: rfc822; ok@rcpt.example',
      'Action: delivered',
      'Status: 2.0.0',
      '',
      'Final-Recipient: rfc822; late@rcpt.example',
      'Action: failed',
      'Status: 4.0.0',
      '',
      'Final-Recipient: rfc822; elsewhere@rcpt.example',
      'Action: relayed',
      'Status: 2.0.0',
      '',
      `Final-Recipient: rfc822; ${RECIPIENT}`,
      'Action: failed',
      'Status: 5.1.10',
    ])
    const { report, messageKind } = await kindOf(raw)
    expect(messageKind).toBe('bounce')
    expect(report?.recipients.map(({ recipient, outcome, bounceType }) => [recipient, outcome, bounceType])).toEqual([
      ['ok@rcpt.example', 'delivered', null],
      ['late@rcpt.example', 'bounced', 'soft'],
      [RECIPIENT, 'bounced', 'hard'],
    ])
  })

  test.each([
    ['a success', ['Action: delivered', 'Status: 2.0.0'], 'delivered'],
    ['a delay', ['Action: delayed', 'Status: 4.4.1'], 'delayed'],
  ])('of %s is no bounce, and no person wrote it', async (_name, fields, outcome) => {
    const raw = deliveryReport([`Final-Recipient: rfc822; ${RECIPIENT}`, ...fields])
    expect((await kindOf(raw)).messageKind).toBe('auto_reply')
    expect(await told(raw)).toMatchObject({ outcome, bounceType: null, recipient: RECIPIENT })
  })

  test('of a mail that was only passed on tells nothing, and no person wrote it', async () => {
    const raw = deliveryReport([`Final-Recipient: rfc822; ${RECIPIENT}`, 'Action: relayed', 'Status: 2.0.0'])
    expect(await kindOf(raw)).toEqual({ messageKind: 'auto_reply', report: null })
  })

  test('that returns the whole mail names it too', async () => {
    const fields = [`Final-Recipient: rfc822; ${RECIPIENT}`, 'Action: failed', 'Status: 5.1.1']
    expect((await told(deliveryReport(fields, 'message/rfc822'))).originalMessageId).toBe(ORIGINAL)
    const inline = deliveryReport(fields, 'message/rfc822\r\nContent-Disposition: inline')
    expect((await told(inline)).originalMessageId).toBe(ORIGINAL)
  })

  test('with ten thousand recipients, or without an end, is read as far as it goes and no further', async () => {
    const group = [`Final-Recipient: rfc822; ${RECIPIENT}`, 'Action: failed', 'Status: 5.1.1', '']
    const many = await parseMail(deliveryReport(Array.from({ length: 10_000 }, () => group).flat()))
    expect(many.report?.recipients).toHaveLength(50)
    const endless = await parseMail(deliveryReport([`Diagnostic-Code: ${'x'.repeat(3_000_000)}`, ...group]))
    expect(endless.messageKind).toMatch(/bounce|auto_reply/)
  })
})

describe('the reports of', () => {
  const unknown = { outcome: 'bounced', bounceType: 'hard', recipient: RECIPIENT, originalMessageId: ORIGINAL }
  test.each([
    ['Postfix', POSTFIX, { ...unknown, status: '5.1.1' }],
    ['Gmail', GMAIL, { ...unknown, status: '5.1.1' }],
    ['Exchange Online', EXCHANGE, { ...unknown, status: '5.1.10' }],
    ['Exim', EXIM, { ...unknown, status: '5.0.0' }],
    ['qmail', QMAIL, { ...unknown, status: '5.1.1' }],
    ['sendmail, while it still tries', SENDMAIL, { outcome: 'delayed', bounceType: null, recipient: RECIPIENT }],
    ['a server that returns nothing', LONELY_STATUS, { ...unknown, originalMessageId: null, status: '5.1.1' }],
  ])('%s are understood', async (_name, raw, expected) => {
    expect(await told(raw)).toMatchObject(expected)
  })

  test('twenty years ago are no persons’ mails either', async () => {
    const reports = []
    for (const raw of corpusMails(1)) {
      if (!/^From:.*(mailer-daemon|postmaster)@/im.test(raw.toString('latin1', 0, 8_000))) continue
      const { messageKind, report, envelope } = await parseMail(raw)
      if (report) reports.push([envelope.subject, messageKind, report.recipients[0]?.outcome])
    }
    expect(reports).toEqual(
      expect.arrayContaining([
        [expect.stringMatching(/^WARNING. Mail Delayed/), 'auto_reply', 'delayed'],
        ['Delayed Mail (still being retried)', 'auto_reply', 'delayed'],
        ['Mail delivery failure', 'bounce', 'bounced'],
        ['Undeliverable: Home Based Business for Grownups', 'bounce', 'bounced'],
      ]),
    )
  })
})

describe('a bounce in prose', () => {
  const daemon = ['Return-Path: <>', 'From: MAILER-DAEMON@mx.example', 'Subject: failure notice']

  test('without a status is soft: nobody has said that it is for good', async () => {
    expect(await told(mail(daemon, 'It did not work.'))).toMatchObject({ bounceType: 'soft', status: null })
  })

  test('is not read from what the returned mail says', async () => {
    const body = [
      'It did not work.',
      '',
      '--- Below this line is a copy of the message.',
      '',
      '550 5.1.1 <a@b.example>',
    ]
    expect(await told(mail(daemon, body))).toMatchObject({ bounceType: 'soft', status: null, recipient: null })
  })

  test.each([
    ['a person who writes about one', [...PLAIN.slice(0, 2), 'Subject: Re: failure notice']],
    ['a postmaster who writes about lunch', ['From: postmaster@rcpt.example', 'Subject: Lunch?']],
    ['a null sender with something else to say', ['Return-Path: <>', 'From: a@b.example', 'Subject: Hello']],
  ])('is not what %s sends', async (_name, headers) => {
    expect(await kindOf(mail(headers))).toEqual({ messageKind: 'email', report: null })
  })
})

describe('a complaint', () => {
  test('names the mail and, unless it is hidden, who complained', async () => {
    expect(await kindOf(COMPLAINT('abuse'))).toEqual({
      messageKind: 'auto_reply',
      report: {
        originalMessageId: ORIGINAL,
        recipients: [expect.objectContaining({ outcome: 'complained', recipient: RECIPIENT, diagnostic: 'abuse' })],
      },
    })
    expect(await told(COMPLAINT('abuse', null))).toMatchObject({ outcome: 'complained', recipient: null })
  })

  test('is not what calls a mail no spam, or speaks of signatures', async () => {
    for (const type of ['not-spam', 'auth-failure']) {
      expect(await kindOf(COMPLAINT(type))).toEqual({ messageKind: 'auto_reply', report: null })
    }
  })
})

describe('an automatic reply', () => {
  test.each([
    [['Auto-Submitted: auto-replied'], 'auto_reply'],
    [['Auto-Submitted: auto-generated (vacation)'], 'auto_reply'],
    [['Auto-Submitted: no'], 'email'],
    [['X-Autoreply: yes'], 'auto_reply'],
    [['X-Autoreply: no'], 'email'],
    [['X-Autorespond: out of office'], 'auto_reply'],
    [['Precedence: auto_reply'], 'auto_reply'],
    [['Precedence: bulk'], 'email'],
    [['Precedence: bulk', `In-Reply-To: ${ORIGINAL}`], 'auto_reply'],
    [['Precedence: junk', `References: ${ORIGINAL}`], 'auto_reply'],
    [['Return-Path: <>', `In-Reply-To: ${ORIGINAL}`], 'auto_reply'],
    [['X-Auto-Response-Suppress: All'], 'email'],
    [['Auto-Submitted: auto-generated', 'List-Id: <talk.lists.example>'], 'email'],
    [['Precedence: list', 'X-Autoreply: yes'], 'email'],
  ])('%j → %s', async (headers, kind) => {
    expect((await kindOf(mail([...PLAIN, ...headers]))).messageKind).toBe(kind)
  })

  test.each([
    'Automatic reply: Offer',
    'Auto-Reply: Offer',
    'Out of Office Re: Offer',
    'Abwesenheitsnotiz: Offer',
    'Automatische Antwort: Offer',
    '=?utf-8?Q?R=C3=A9ponse_automatique=C2=A0:_Offer?=',
    'Respuesta automática: Offer',
    'Risposta automatica: R: Offer',
    'Resposta automática: Offer',
    'Automatisch antwoord: Offer',
    'Autosvar: Offer',
    'Automatyczna odpowiedź: Offer',
    'Автоматический ответ: Offer',
    '自動応答: Offer',
  ])('%s', async (subject) => {
    expect((await kindOf(mail([...PLAIN.slice(0, 2), `Subject: ${subject}`]))).messageKind).toBe('auto_reply')
  })

  test.each(['Re: Out of office', 'Re: Automatic reply: Offer', 'Vacation rental', 'Autosupply chain'])(
    'is not what a person writes: %s',
    async (subject) => {
      expect((await kindOf(mail([...PLAIN.slice(0, 2), `Subject: ${subject}`]))).messageKind).toBe('email')
    },
  )

  test('is also what says that a mail was read', async () => {
    expect(await kindOf(READ_RECEIPT)).toEqual({ messageKind: 'auto_reply', report: null })
  })
})

test('a mail to many is told from one to us', async () => {
  expect((await parseMail(mail(PLAIN))).isBulk).toBe(false)
  for (const field of ['List-Id: <news.example>', 'List-Unsubscribe: <https://x.example>', 'Precedence: bulk']) {
    expect((await parseMail(mail([...PLAIN, field]))).isBulk).toBe(true)
  }
})
