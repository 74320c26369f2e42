import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import pg from 'pg'
import { START_TIMEOUT_MS, startPlatform, type TestPlatform } from '../support/graph.ts'
import { makeMail } from '../support/mails.ts'
import { foundTenant, type TestTenant } from '../support/tenants.ts'

const INGEST = `mutation ($input: IngestMessageInput!) { ingestMessage(input: $input) {
  duplicate message { id subject parseStatus content { text rawSizeBytes headers attachments { filename mimeType sizeBytes } } } } }`

let platform: TestPlatform
let demo: TestTenant

beforeAll(async () => {
  platform = await startPlatform()
  demo = await foundTenant(platform.tierClient('oltp'), 'demo')
}, START_TIMEOUT_MS)
afterAll(() => platform?.stop())

const ingest = (raw: string | Buffer, more: object = {}) =>
  platform.ask(INGEST, { input: { raw: typeof raw === 'string' ? raw : raw.toString('base64'), ...more } })

async function kept(raw: string | Buffer) {
  const { data, errors } = await ingest(raw)
  expect(errors).toBeUndefined()
  return data.ingestMessage.message
}

describe('broken mail is kept, whatever it is', () => {
  test('a file that is no mail becomes a reference marked unparsed, its bytes kept', async () => {
    const bytes = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13])
    const message = await kept(bytes)
    expect(message.parseStatus).toBe('UNPARSED')
    expect(message.content.rawSizeBytes).toBe(bytes.length)
  })

  test('a null byte in subject, sender and body does not stop a mail', async () => {
    const message = await kept(
      makeMail({ headers: { Subject: 'nu\0ll', From: 'a\0b@elsewhere.example', To: demo.mailbox }, body: 'bo\0dy' }),
    )
    expect(message.subject).not.toContain('\0')
    expect(message.content.text).toContain('dy')
  })

  test('ten thousand headers are bounded and the mail is marked partial', async () => {
    const many = Object.fromEntries(
      Array.from({ length: 10_000 }, (_, index) => [`X-Header-${index}`, `value ${index}`]),
    )
    const message = await kept(makeMail({ headers: many }))
    expect(message.parseStatus).toBe('PARTIAL')
    expect(Object.keys(message.content.headers).length).toBeLessThan(10_000)
  })

  test('a charset nobody knows still gives a text', async () => {
    const message = await kept(
      makeMail({ headers: { 'Content-Type': 'text/plain; charset=x-no-such-charset' }, body: 'gr\xfc\xdfe' }),
    )
    expect(message.content.text).toContain('gr')
    expect(message.parseStatus).not.toBe('UNPARSED')
  })

  test('an attachment cannot name a path, and its type is what its bytes say', async () => {
    const body = [
      '--b',
      'Content-Type: text/plain',
      '',
      'see attachment',
      '--b',
      'Content-Type: text/plain; name="../../etc/passwd"',
      'Content-Disposition: attachment; filename="../../etc/passwd"',
      'Content-Transfer-Encoding: base64',
      '',
      Buffer.from('%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n', 'latin1').toString('base64'),
      '--b--',
    ].join('\r\n')
    const message = await kept(makeMail({ headers: { 'Content-Type': 'multipart/mixed; boundary="b"' }, body }))
    expect(message.content.attachments).toEqual([
      expect.objectContaining({ filename: 'passwd', mimeType: 'application/pdf' }),
    ])
  })

  test('a mail cut off inside a part is kept', async () => {
    const cut = makeMail({
      headers: { 'Content-Type': 'multipart/mixed; boundary="b"' },
      body: '--b\r\nContent-Type: text/plain\r\n\r\nthe first part, and then noth',
    })
    expect((await kept(cut)).content.text).toContain('the first part')
  })

  test('a megabyte of one line is kept', async () => {
    const message = await kept(makeMail({ body: 'x'.repeat(1024 * 1024) }))
    expect(message.content.rawSizeBytes).toBeGreaterThan(1024 * 1024)
  })
})

describe('what is refused is refused whole', () => {
  const refused = async (raw: string | Buffer, code: string, more: object = {}) => {
    const before = await countRows()
    const { errors } = await ingest(raw, more)
    expect(errors?.map((error) => error.extensions.code)).toEqual([code])
    expect(await countRows()).toEqual(before)
  }

  test('zero bytes are INVALID_INPUT', () => refused('', 'INVALID_INPUT'))

  test(
    'a mail over the limit is LIMIT_REACHED',
    () => refused(Buffer.alloc(25 * 1024 * 1024 + 1, 'x'), 'LIMIT_REACHED'),
    60_000,
  )

  test('bytes that are not base64 are INVALID_INPUT', () => refused('not base64!', 'INVALID_INPUT'))

  test('a mailbox that does not exist is NOT_FOUND', () =>
    refused(makeMail(), 'NOT_FOUND', { emailAccountId: '01930000-0000-7000-8000-00000000ffff' }))

  test('a malformed mailbox id is INVALID_INPUT', () => refused(makeMail(), 'INVALID_INPUT', { emailAccountId: 'x' }))

  test('the platform answers as before', async () => {
    const { data } = await platform.ask('{ viewer { tenant { slug } } }')
    expect(data.viewer.tenant.slug).toBe('demo')
  })
})

/** Rows that a mail leaves, in the two tiers that write before anything is announced. */
async function countRows() {
  const counts: Record<string, number> = {}
  for (const [tier, tables] of [
    ['oltp', ['inbox_message_refs']],
    ['content', ['content_objects', 'content_blobs', 'attachments']],
  ] as const) {
    const client = new pg.Client(platform.databases[tier].systemUrl)
    await client.connect()
    for (const table of tables) {
      const { rows } = await client.query(`SELECT count(*)::int AS count FROM ${table}`)
      counts[table] = rows[0].count
    }
    await client.end()
  }
  return counts
}
