import { describe, expect, test } from '@jest/globals'
import { parseMail } from '../../../subgraphs/content/services/mailParsing.ts'
import { deliveryReport, mail, PLAIN } from './mails.ts'

const ORIGINAL = '<orig@sender.example>'
const RECIPIENT = 'gone@rcpt.example'

async function kindOf(raw: Buffer) {
  const { messageKind, bounce } = await parseMail(raw)
  return { messageKind, bounce }
}

describe('a delivery report', () => {
  test('of a permanent failure is a hard bounce, with the mail it is about', async () => {
    const raw = deliveryReport([`Final-Recipient: rfc822; ${RECIPIENT}`, 'Action: failed', 'Status: 5.1.1'])
    expect(await kindOf(raw)).toEqual({
      messageKind: 'bounce',
      bounce: { type: 'hard', status: '5.1.1', originalMessageId: ORIGINAL, recipient: RECIPIENT },
    })
  })

  test.each([
    ['failed for now', ['Action: failed', 'Status: 4.2.2'], { type: 'soft', status: '4.2.2' }],
    ['delayed', ['Action: delayed', 'Status: 4.4.1'], { type: 'soft', status: '4.4.1' }],
    [
      'failed, status only in the diagnostic',
      ['Action: failed', 'Diagnostic-Code: smtp; 550 5.7.1 no'],
      { type: 'hard', status: '5.7.1' },
    ],
    [
      'failed, bare reply code',
      ['Action: failed', 'Diagnostic-Code: smtp; 554 rejected'],
      { type: 'hard', status: '5.0.0' },
    ],
    ['failed, and nobody says why', ['Action: failed'], { type: 'soft', status: null }],
  ])('that says %s', async (_name, fields, bounce) => {
    const raw = deliveryReport([`Final-Recipient: rfc822; ${RECIPIENT}`, ...fields])
    expect((await kindOf(raw)).bounce).toMatchObject({ ...bounce, originalMessageId: ORIGINAL })
  })

  test('with several recipients is as bad as its worst', async () => {
    const raw = deliveryReport([
      'Final-Recipient: rfc822; ok@rcpt.example',
      'Action: delivered',
      'Status: 2.0.0',
      '',
      'Final-Recipient: rfc822; late@rcpt.example',
      'Action: failed',
      'Status: 4.0.0',
      '',
      `Final-Recipient: rfc822; ${RECIPIENT}`,
      'Action: failed',
      'Status: 5.1.10',
    ])
    expect((await kindOf(raw)).bounce).toMatchObject({ type: 'hard', status: '5.1.10', recipient: RECIPIENT })
  })

  test('of a success is no bounce, and no person wrote it', async () => {
    const raw = deliveryReport([`Final-Recipient: rfc822; ${RECIPIENT}`, 'Action: delivered', 'Status: 2.0.0'])
    expect(await kindOf(raw)).toEqual({ messageKind: 'auto_reply', bounce: null })
  })

  test('that returns the whole mail names it too', async () => {
    const fields = [`Final-Recipient: rfc822; ${RECIPIENT}`, 'Action: failed', 'Status: 5.1.1']
    expect((await kindOf(deliveryReport(fields, 'message/rfc822'))).bounce?.originalMessageId).toBe(ORIGINAL)
    const inline = deliveryReport(fields, 'message/rfc822\r\nContent-Disposition: inline')
    expect((await kindOf(inline)).bounce?.originalMessageId).toBe(ORIGINAL)
  })
})

describe('a bounce in prose', () => {
  const daemon = ['Return-Path: <>', 'From: MAILER-DAEMON@mx.example', 'Subject: failure notice']

  test('of a mail server that knows no RFC 3464', async () => {
    const body = [
      'I could not deliver your mail.',
      `<${RECIPIENT}>:`,
      '550 5.1.1 unknown user',
      '',
      `Message-ID: ${ORIGINAL}`,
    ]
    expect((await kindOf(mail(daemon, body))).bounce).toEqual({
      type: 'hard',
      status: '5.1.1',
      originalMessageId: ORIGINAL,
      recipient: RECIPIENT,
    })
  })

  test('without a status is soft: nobody has said that it is for good', async () => {
    expect((await kindOf(mail(daemon, 'It did not work.'))).bounce).toMatchObject({ type: 'soft', status: null })
  })

  test('by the field that Exim writes', async () => {
    const raw = mail([...PLAIN, `X-Failed-Recipients: ${RECIPIENT}`], 'all hosts failed: 450 try later')
    expect((await kindOf(raw)).bounce).toMatchObject({ type: 'soft', status: '4.0.0', recipient: RECIPIENT })
  })

  test.each([
    ['a person who writes about one', [...PLAIN.slice(0, 2), 'Subject: Re: failure notice']],
    ['a postmaster who writes about lunch', ['From: postmaster@rcpt.example', 'Subject: Lunch?']],
    ['a null sender with something else to say', ['Return-Path: <>', 'From: a@b.example', 'Subject: Hello']],
  ])('is not what %s sends', async (_name, headers) => {
    expect(await kindOf(mail(headers))).toEqual({ messageKind: 'email', bounce: null })
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
    [['X-Auto-Response-Suppress: All'], 'email'],
    [['Auto-Submitted: auto-generated', 'List-Id: <talk.lists.example>'], 'email'],
    [['Precedence: list', 'X-Autoreply: yes'], 'email'],
  ])('%j → %s', async (headers, kind) => {
    expect((await kindOf(mail([...PLAIN, ...headers]))).messageKind).toBe(kind)
  })
})
