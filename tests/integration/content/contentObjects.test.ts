import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type ContentTier, STAFF, startContentTier, userOf } from './contentTier.ts'
import { mail, mailWithFiles, PLAIN } from './mails.ts'

let tier: ContentTier
const demo = randomUUID()
const rival = randomUUID()

const png = Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex')
const RICH = mailWithFiles(
  { headers: ['Content-Type: text/html'], body: '<p>Grüße</p>' },
  {
    headers: [
      'Content-Type: image/png',
      'Content-Transfer-Encoding: base64',
      'Content-Disposition: inline; filename=p.png',
    ],
    body: png.toString('base64'),
  },
)

beforeAll(async () => {
  tier = await startContentTier()
  await tier.store(demo, { rich: RICH, noise: Buffer.from('no mail') })
  for (let from = 0; from < 100; from += 50) {
    const mails = Array.from({ length: 50 }, (_, index) => [`many/${from + index}`, many(from + index)])
    await tier.store(demo, Object.fromEntries(mails))
  }
  await tier.store(rival, { rich: RICH, theirs: mail(PLAIN, 'theirs') })
})
afterAll(() => tier?.stop())

function many(index: number): Buffer {
  return mailWithFiles({ headers: ['Content-Type: text/csv; name=list.csv'], body: `a,b,${index}` })
}

const RICH_FIELDS = `storageKey text html headers rawSizeBytes storedSizeBytes contentHash parseStatus parseProblems
  attachmentCount retentionDays isArchived legalHold
  attachments { id filename mimeType sizeBytes disposition contentId scanStatus content { storageKey } }`
const ONE = `query ($key: ID!) { contentObject(storageKey: $key) { ${RICH_FIELDS} } }`
const ENTITIES = `query ($refs: [_Any!]!) { _entities(representations: $refs) {
  ... on ContentObject { storageKey text html headers attachments { filename content { storageKey } } }
  ... on Attachment { id filename } ... on Tenant { id storage { objectCount } } } }`

describe('a content object', () => {
  test('has its bodies, header, files and sizes', async () => {
    const { data, errors } = await tier.ask(ONE, { key: 'rich' }, userOf(demo))
    expect(errors).toBeUndefined()
    expect(data.contentObject).toMatchObject({
      storageKey: 'rich',
      text: 'See the files.',
      html: '<p>Grüße</p>',
      headers: { subject: 'Hello', from: 'Ada <Ada@Sender.example>' },
      rawSizeBytes: RICH.length,
      parseStatus: 'PARSED',
      parseProblems: [],
      attachmentCount: 1,
      retentionDays: 2555,
      isArchived: false,
      legalHold: false,
      attachments: [
        {
          filename: 'p.png',
          mimeType: 'image/png',
          sizeBytes: png.length,
          disposition: 'INLINE',
          contentId: null,
          scanStatus: 'PENDING',
          content: { storageKey: 'rich' },
        },
      ],
    })
    expect(data.contentObject.storedSizeBytes).toBeGreaterThan(0)
  })

  test('that is no mail has no bodies, and says why', async () => {
    const { data } = await tier.ask(ONE, { key: 'noise' }, userOf(demo))
    expect(data.contentObject).toMatchObject({
      text: null,
      html: null,
      parseStatus: 'UNPARSED',
      parseProblems: ['not_a_mail'],
      attachments: [],
    })
  })

  test.each([['absent'], ['theirs'], [''], ['k'.repeat(600)], ['a\0b'], ['\ud800']])('%j is null', async (key) => {
    expect(await tier.ask(ONE, { key }, userOf(demo))).toEqual({ data: { contentObject: null } })
  })

  test('is not opened unless a body is asked for', async () => {
    const query = '{ contentObject(storageKey: "rich") { rawSizeBytes contentHash } }'
    const { statements } = await tier.statementsOf(() => tier.ask(query, {}, userOf(demo)))
    expect(statements).toHaveLength(1)
    expect(statements[0]).not.toMatch(/content_blobs|headers/)
  })

  test('is for users of the tenant: staff and nobody else', async () => {
    expect((await tier.ask(ONE, { key: 'rich' }, STAFF)).errors?.[0]?.extensions.code).toBe('FORBIDDEN')
    const refs = [{ __typename: 'ContentObject', storageKey: 'rich' }]
    expect(await tier.ask(ENTITIES, { refs }, STAFF)).toEqual({ data: { _entities: [null] } })
  })
})

describe('content objects that other tiers refer to', () => {
  const refsOf = (keys: string[]) => keys.map((storageKey) => ({ __typename: 'ContentObject', storageKey }))

  test('a hundred with everything cost as many statements as one', async () => {
    const ask = (keys: string[]) => tier.statementsOf(() => tier.ask(ENTITIES, { refs: refsOf(keys) }, userOf(demo)))
    const one = await ask(['many/0'])
    const hundred = await ask(Array.from({ length: 100 }, (_, index) => `many/${index}`))
    expect(hundred.result.data._entities).toHaveLength(100)
    expect(hundred.result.data._entities[42]).toMatchObject({
      storageKey: 'many/42',
      text: 'See the files.',
      html: null,
      attachments: [{ filename: 'list.csv', content: { storageKey: 'many/42' } }],
    })
    expect(hundred.statements).toHaveLength(one.statements.length)
    expect(hundred.statements).toHaveLength(4)
  })

  test("another tenant's key reads as one that does not exist, its own as its own", async () => {
    const refs = refsOf(['theirs', 'many/0', 'absent', 'rich'])
    const { data } = await tier.ask(ENTITIES, { refs }, userOf(rival))
    expect(data._entities.map((entity: { storageKey: string } | null) => entity?.storageKey ?? null)).toEqual([
      'theirs',
      null,
      null,
      'rich',
    ])
  })
})

describe('an attachment', () => {
  const FIND = 'query ($id: ID!) { attachment(id: $id) { filename content { storageKey } } }'

  test('is found by its id, in its tenant only', async () => {
    const rich = await tier.ask(ONE, { key: 'rich' }, userOf(demo))
    const { id } = rich.data.contentObject.attachments[0]
    const found = { attachment: { filename: 'p.png', content: { storageKey: 'rich' } } }
    expect(await tier.ask(FIND, { id }, userOf(demo))).toEqual({ data: found })
    expect(await tier.ask(FIND, { id: id.toUpperCase() }, userOf(demo))).toEqual({ data: found })
    expect(await tier.ask(FIND, { id }, userOf(rival))).toEqual({ data: { attachment: null } })
    const refs = [{ __typename: 'Attachment', id }]
    expect(await tier.ask(ENTITIES, { refs }, userOf(rival))).toEqual({ data: { _entities: [null] } })
  })

  test.each([['x'], [randomUUID()], ["' or 1=1"]])('%j is null', async (id) => {
    expect(await tier.ask(FIND, { id }, userOf(demo))).toEqual({ data: { attachment: null } })
  })
})

describe('storage', () => {
  const STATS = `{ storageStats { objectCount attachmentCount rawBytes storedBytes dedupSavedBytes compressionSavedBytes
    byRetention { retentionDays objectCount rawBytes } } }`

  test('adds up what the tenant has, and what is saved', async () => {
    const { data } = await tier.ask(STATS, {}, userOf(demo))
    expect(data.storageStats).toMatchObject({
      objectCount: 102,
      attachmentCount: 101,
      byRetention: [{ retentionDays: 2555, objectCount: 102, rawBytes: data.storageStats.rawBytes }],
    })
    // The text "See the files." is stored once for 101 mails.
    expect(data.storageStats.dedupSavedBytes).toBeGreaterThan(100)
    expect((await tier.ask(STATS, {}, userOf(rival))).data.storageStats).toMatchObject({ objectCount: 2 })
    expect((await tier.ask(STATS, {}, userOf(randomUUID()))).data.storageStats).toEqual({
      objectCount: 0,
      attachmentCount: 0,
      rawBytes: 0,
      storedBytes: 0,
      dedupSavedBytes: 0,
      compressionSavedBytes: 0,
      byRetention: [],
    })
  })

  test('of a tenant is for that tenant', async () => {
    const refs = [demo, rival].map((id) => ({ __typename: 'Tenant', id }))
    const { data } = await tier.ask(ENTITIES, { refs }, userOf(demo))
    expect(data._entities).toEqual([
      { id: demo, storage: { objectCount: 102 } },
      { id: rival, storage: null },
    ])
  })
})

describe('who has read what', () => {
  const LOG = `query ($filter: ContentAccessFilter) { contentAccessLog(filter: $filter) {
    totalCount nodes { storageKey accessType bytes user { id } content { storageKey lastAccessedAt } } } }`

  test('is written down once a minute per user and mail, and only when a body was read', async () => {
    const reader = userOf(demo)
    const read = '{ contentObject(storageKey: "many/7") { text } }'
    await tier.ask('{ contentObject(storageKey: "many/7") { rawSizeBytes } }', {}, reader)
    for (let times = 0; times < 3; times += 1) await tier.ask(read, {}, reader)
    await tier.accesses.flush()
    await tier.ask(read, {}, reader)
    await tier.accesses.flush()
    const filter = { storageKey: 'many/7' }
    const { data } = await tier.ask(LOG, { filter }, reader)
    const own = data.contentAccessLog.nodes.filter((node: { user: { id: string } }) => node.user.id === reader.userId)
    expect(own).toEqual([
      {
        storageKey: 'many/7',
        accessType: 'READ',
        bytes: 3 * 'See the files.'.length,
        user: { id: reader.userId },
        content: { storageKey: 'many/7', lastAccessedAt: expect.any(String) },
      },
    ])
    expect(await tier.ask(LOG, { filter }, userOf(rival))).toEqual({
      data: { contentAccessLog: { totalCount: 0, nodes: [] } },
    })
  })

  test('is not lost by who reads more at once than its column holds', async () => {
    const [greedy, other] = [userOf(demo), userOf(demo)]
    for (const { userId, bytes } of [
      { ...greedy, bytes: 2 ** 31 - 1 },
      { ...greedy, bytes: 100 },
      { ...other, bytes: 5 },
    ])
      tier.accesses.record({ tenantId: demo, userId, storageKey: 'many/8', accessType: 'read', bytes })
    await tier.accesses.flush()
    const { data } = await tier.ask(LOG, { filter: { storageKey: 'many/8' } }, greedy)
    const read = data.contentAccessLog.nodes.map((node: { bytes: number }) => node.bytes)
    expect(read).toEqual(expect.arrayContaining([2 ** 31 - 1, 5]))
  })

  test('is for owners and admins', async () => {
    for (const role of ['manager', 'employee', 'viewer']) {
      const { errors } = await tier.ask(LOG, {}, userOf(demo, { roles: [role] }))
      expect(errors?.[0]?.extensions.code).toBe('FORBIDDEN')
    }
  })
})
