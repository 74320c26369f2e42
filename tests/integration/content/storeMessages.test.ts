import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { runAsTenant } from '#platform/database/tenantScope.ts'
import { parseMail } from '../../../subgraphs/content/services/mailParsing.ts'
import { packMessage } from '../../../subgraphs/content/services/messagePacking.ts'
import { insertMessages } from '../../../subgraphs/content/services/messageRows.ts'
import { type ContentTier, STAFF, serviceOf, startContentTier, userOf } from './contentTier.ts'
import { corpusMails, deliveryReport, mail, mailWithFiles, PLAIN } from './mails.ts'

let tier: ContentTier
let demo: string
let rival: string

beforeAll(async () => {
  tier = await startContentTier({ maxMessageBytes: 200_000 })
})
afterAll(() => tier?.stop())
beforeEach(() => {
  demo = randomUUID()
  rival = randomUUID()
})

/** Reference counts of all blobs, and how often the tenant's rows really refer to them. */
const REFERENCES = `
  SELECT b.reference_count AS counted,
    (SELECT count(*) FROM content_objects o WHERE o.raw_hash = b.hash)::int
    + (SELECT count(*) FROM content_objects o WHERE o.text_hash = b.hash)::int
    + (SELECT count(*) FROM content_objects o WHERE o.html_hash = b.hash)::int
    + (SELECT count(*) FROM attachments a WHERE a.blob_hash = b.hash)::int AS real
  FROM content_blobs b ORDER BY b.hash`

async function expectRightReferences(tenantId: string) {
  const counts = await tier.rows<{ counted: number; real: number }>(tenantId, REFERENCES)
  expect(counts.map(({ counted }) => counted)).toEqual(counts.map(({ real }) => real))
  return counts.length
}

async function countRows(tenantId: string) {
  const tables = ['content_objects', 'content_blobs', 'attachments']
  const counts = tables.map((table) => `(SELECT count(*)::int FROM ${table}) AS ${table}`)
  return (await tier.rows(tenantId, `SELECT ${counts.join(', ')}`))[0]
}

const FILE = { headers: ['Content-Type: text/plain; name=a.txt', 'Content-Disposition: attachment'], body: 'the file' }

describe('storing a mail', () => {
  test('tells what it is', async () => {
    const raw = mailWithFiles(FILE)
    const [stored] = await tier.store(demo, { 'mail/1': raw })
    expect(stored).toMatchObject({
      storageKey: 'mail/1',
      alreadyStored: false,
      parseStatus: 'PARSED',
      rawSizeBytes: raw.length,
      messageId: '<a1@sender.example>',
      fromEmail: 'ada@sender.example',
      toEmails: ['bob@rcpt.example'],
      subject: 'Hello',
      date: null,
      hasAttachments: true,
      messageKind: 'EMAIL',
      report: null,
      isBulk: false,
    })
    expect(stored?.contentHash).toMatch(/^[0-9a-f]{64}$/)
  })

  test('of a delivery report tells what came back', async () => {
    const report = deliveryReport(['Final-Recipient: rfc822; gone@rcpt.example', 'Action: failed', 'Status: 5.1.1'])
    const [stored] = await tier.store(demo, { report })
    const recipient = { recipient: 'gone@rcpt.example', outcome: 'BOUNCED', bounceType: 'HARD', status: '5.1.1' }
    expect(stored).toMatchObject({
      messageKind: 'BOUNCE',
      report: { originalMessageId: '<orig@sender.example>', recipients: [recipient] },
    })
  })

  test('again answers the same, and changes nothing', async () => {
    const raw = mailWithFiles(FILE)
    const [first] = await tier.store(demo, { key: raw })
    const rows = await countRows(demo)
    const [second] = await tier.store(demo, { key: raw })
    expect(second).toEqual({ ...first, alreadyStored: true })
    expect(await countRows(demo)).toEqual(rows)
    await expectRightReferences(demo)
  })

  test('keeps what is no mail, and says so', async () => {
    const [stored] = await tier.store(demo, { noise: Buffer.from([0, 1, 2, 3, 255]) })
    expect(stored).toMatchObject({ parseStatus: 'UNPARSED', rawSizeBytes: 5, messageKind: 'EMAIL', fromEmail: null })
  })

  test.each([
    ['null bytes everywhere', mail(['From: a\0@b.example', 'Subject: \0', 'Message-ID: <\0>', '\0: \0'], '\0')],
    ['10,000 fields', mail([...PLAIN, ...Array.from({ length: 10_000 }, (_, index) => `X-${index}: y`)])],
    ['half a surrogate pair', mail([...PLAIN, 'X: =?utf-16le?b?ANg=?='], 'x')],
    [
      'an attachment named ../../etc/passwd',
      mailWithFiles({ ...FILE, headers: ['Content-Disposition: attachment; filename="../../etc/passwd"'] }),
    ],
  ])('takes one with %s', async (_name, raw) => {
    const [stored] = await tier.store(demo, { key: raw })
    expect(['PARSED', 'PARTIAL']).toContain(stored?.parseStatus)
    const files = await tier.rows<{ filename: string }>(demo, 'SELECT filename FROM attachments')
    expect(files.every(({ filename }) => filename === 'passwd')).toBe(true)
  })

  test('keeps it for 2,555 days unless the policy for mail says less', async () => {
    await tier.store(demo, { before: mail(PLAIN) })
    const policy = { contentType: 'email', retentionDays: 30, tenantId: demo }
    await tier.db.system.retentionPolicy.create({ data: { ...policy, id: randomUUID() } })
    const longer = { ...policy, id: randomUUID(), retentionDays: 9000, tenantId: rival }
    await tier.db.system.retentionPolicy.create({ data: longer })
    await tier.store(demo, { after: mail(PLAIN) })
    await tier.store(rival, { after: mail(PLAIN) })
    const DAYS = `SELECT storage_key AS key, retention_days AS days,
      extract(day FROM expires_at - created_at)::int AS left FROM content_objects ORDER BY created_at`
    expect(await tier.rows(demo, DAYS)).toEqual([
      { key: 'before', days: 2555, left: 2555 },
      { key: 'after', days: 30, left: 30 },
    ])
    expect(await tier.rows(rival, DAYS)).toEqual([{ key: 'after', days: 2555, left: 2555 }])
  })
})

describe('equal bytes', () => {
  test('are stored once within a tenant, and counted', async () => {
    const file = { ...FILE, body: 'the same file '.repeat(50) }
    await tier.store(demo, { one: mailWithFiles(file), two: mailWithFiles(file, file), three: mailWithFiles(file) })
    // The raw of `one` and `three`, that of `two`, the text and the file.
    expect(await expectRightReferences(demo)).toBe(4)
    const [most] = await tier.rows<{ max: number }>(demo, 'SELECT max(reference_count) FROM content_blobs')
    expect(most?.max).toBe(4)
  })

  test('of two tenants share nothing: neither hash nor stored bytes', async () => {
    const raw = mailWithFiles(FILE)
    const [own] = await tier.store(demo, { key: raw })
    const [other] = await tier.store(rival, { key: raw })
    expect(other).toMatchObject({ alreadyStored: false, rawSizeBytes: own?.rawSizeBytes })
    expect(other?.contentHash).not.toBe(own?.contentHash)
    const { rows } = await tier.db.systemSql.query(
      'SELECT count(DISTINCT hash)::int AS hashes, count(DISTINCT bytes)::int AS bytes FROM content_blobs WHERE tenant_id = ANY($1)',
      [[demo, rival]],
    )
    expect(rows).toEqual([{ hashes: 6, bytes: 6 }])
    for (const tenant of [demo, rival]) await expectRightReferences(tenant)
  })

  test('are unreadable in the database', async () => {
    await tier.store(demo, { key: mail(PLAIN, 'a secret so long that it would be compressed '.repeat(20)) })
    const blobs = await tier.rows<{ bytes: Buffer; cipher: string }>(demo, 'SELECT bytes, cipher FROM content_blobs')
    for (const { bytes, cipher } of blobs) {
      expect(cipher).toBe('aes_256_gcm')
      expect(bytes.toString('latin1')).not.toContain('secret')
    }
  })
})

describe('many at once', () => {
  test('the same mails by ten callers in different orders are stored once each', async () => {
    const mails = corpusMails(200)
      .slice(0, 30)
      .filter((raw) => raw.length < 200_000)
    const all = mails.map((raw, index) => [`mail/${index}`, raw] as const)
    const callers = Array.from({ length: 10 }, (_, caller) =>
      tier.store(demo, Object.fromEntries([...all.slice(caller * 3), ...all.slice(0, caller * 3)])),
    )
    const answers = (await Promise.all(callers)).flat()
    for (const [key] of all) {
      const own = answers.filter(({ storageKey }) => storageKey === key)
      expect(own.filter(({ alreadyStored }) => !alreadyStored)).toHaveLength(1)
      expect(new Set(own.map((answer) => JSON.stringify({ ...answer, alreadyStored: null }))).size).toBe(1)
    }
    await expectRightReferences(demo)
  })

  test('different mails with the same attachment by ten callers count it rightly', async () => {
    const raws = Array.from({ length: 40 }, (_, index) => mailWithFiles(FILE, { ...FILE, body: `file ${index % 7}` }))
    await Promise.all(
      Array.from({ length: 10 }, (_, caller) =>
        tier.store(demo, Object.fromEntries(raws.map((raw, index) => [`${caller}/${index}`, raw]))),
      ),
    )
    await expectRightReferences(demo)
    const [most] = await tier.rows<{ max: number }>(demo, 'SELECT max(reference_count) FROM content_blobs')
    expect(most?.max).toBe(400)
  })

  test('the same key twice in one call is stored once', async () => {
    const raw = mail(PLAIN).toString('base64')
    const message = { storageKey: 'twice', raw }
    const { data } = await tier.ask(
      'mutation ($messages: [StoreMessageInput!]!) { storeMessages(messages: $messages) { alreadyStored } }',
      { messages: [message, message] },
      serviceOf(demo),
    )
    expect(data.storeMessages).toEqual([{ alreadyStored: false }, { alreadyStored: true }])
    await expectRightReferences(demo)
  })

  test('a repeat costs one statement, fifty new mails cost three', async () => {
    await tier.store(demo, { warm: mail(PLAIN) })
    const fifty = Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`k${index}`, mail(PLAIN, `${index}`)]))
    const one = await tier.statementsOf(() => tier.store(demo, { warm: mail(PLAIN) }))
    expect(one.statements).toHaveLength(1)
    const many = await tier.statementsOf(() => tier.store(demo, fifty))
    expect(many.statements).toHaveLength(3)
  })
})

describe('nothing is half written', () => {
  test('when one row of a group is refused', async () => {
    await tier.store(demo, { before: mailWithFiles(FILE) })
    const rows = await countRows(demo)
    await runAsTenant(demo, async () => {
      const key = await tier.keys.current()
      const raw = mailWithFiles(FILE)
      const packed = await packMessage({ storageKey: 'bad', raw, mail: await parseMail(raw), key })
      const bad = packed.files[0]
      if (bad) bad.file.filename = 'a/b'
      await expect(insertMessages(tier.db, key, [packed])).rejects.toThrow(/attachments_filename_check/)
    })
    expect(await countRows(demo)).toEqual(rows)
    await expectRightReferences(demo)
  })

  test.each([
    ['an empty mail', { key: '' }, 'INVALID_INPUT'],
    ['a mail over the limit', { key: Buffer.alloc(200_001, 'x') }, 'LIMIT_REACHED'],
    ['an empty key', { '': 'From: a@b.example\n\n' }, 'INVALID_INPUT'],
    ['a key of 501 characters', { ['k'.repeat(501)]: 'x' }, 'INVALID_INPUT'],
    ['a key with a null character', { 'a\0b': 'x' }, 'INVALID_INPUT'],
  ])('for %s beside a good one', async (_name, bad, code) => {
    await expect(tier.store(demo, { good: mail(PLAIN), ...bad })).rejects.toThrow(code)
    expect(await countRows(demo)).toEqual({ content_objects: 0, content_blobs: 0, attachments: 0 })
  })

  test('for more than fifty at once', async () => {
    const many = Object.fromEntries(Array.from({ length: 51 }, (_, index) => [`k${index}`, 'From: a@b.example\n\n']))
    await expect(tier.store(demo, many)).rejects.toThrow('LIMIT_REACHED')
  })

  test('takes a key of exactly 500 characters, also beyond the basic plane', async () => {
    for (const key of ['k'.repeat(500), '😀'.repeat(500)]) {
      expect(await tier.store(demo, { [key]: mail(PLAIN) })).toMatchObject([{ storageKey: key, alreadyStored: false }])
    }
  })
})

describe('only services store', () => {
  const STORE = 'mutation { storeMessages(messages: []) { storageKey } }'

  test('a user, an owner even, and staff may not', async () => {
    for (const caller of [userOf(demo), STAFF]) {
      expect((await tier.ask(STORE, {}, caller)).errors?.[0]?.extensions.code).toBe('FORBIDDEN')
    }
  })

  test('a service without a tenant may not', async () => {
    expect((await tier.ask(STORE, {}, serviceOf(null))).errors?.[0]?.extensions.code).toBe('INVALID_INPUT')
  })
})
