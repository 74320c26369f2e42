import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type ContentTier, STAFF, startContentTier, userOf } from './contentTier.ts'
import { mail, PLAIN } from './mails.ts'

let tier: ContentTier
const demo = randomUUID()
const rival = randomUUID()
const ada = randomUUID()
const emailId = randomUUID()

beforeAll(async () => {
  tier = await startContentTier()
  await tier.store(demo, { rendered: mail(PLAIN, 'Welcome!') })
  const { system } = tier.db
  const own = { tenantId: demo, id: emailId, userId: ada, recipientEmail: 'ada@demo.example' }
  await system.transactionalEmail.create({
    data: {
      ...{ ...own, type: 'welcome_email', subject: 'Welcome', contentStorageKey: 'rendered', status: 'sent' },
      createdAt: new Date('2026-03-01T10:00:00Z'),
    },
  })
  await system.transactionalEmail.create({
    data: {
      ...{ ...own, id: randomUUID(), userId: null, type: 'password_reset', subject: 'Reset' },
      createdAt: new Date('2026-03-01T10:00:01Z'),
    },
  })
  for (const priority of [20, 10]) {
    const policy = { tenantId: demo, id: randomUUID(), contentType: 'email', retentionDays: priority * 10, priority }
    await system.retentionPolicy.create({ data: policy })
  }
  const file = { filename: 'leads.csv', expectedMimeType: 'text/csv', expectedSizeBytes: 10 }
  const expiresAt = new Date(Date.now() + 3_600_000)
  await system.upload.create({ data: { ...file, expiresAt, tenantId: demo, id: randomUUID(), userId: ada } })
})
afterAll(() => tier?.stop())

const EMAILS = `query ($filter: TransactionalEmailFilter) { transactionalEmails(filter: $filter) { totalCount nodes {
  type subject status recipientEmail user { id } content { text } } } }`
const POLICIES = '{ retentionPolicies { nodes { contentType retentionDays priority isActive } } }'
const UPLOADS = '{ uploads { nodes { filename state user { id } content { storageKey } } } }'

describe('the lists of a tenant', () => {
  test('transactional mail, newest first, by status and user, with its content', async () => {
    const { data } = await tier.ask(EMAILS, {}, userOf(demo))
    expect(data.transactionalEmails).toEqual({
      totalCount: 2,
      nodes: [
        {
          type: 'PASSWORD_RESET',
          subject: 'Reset',
          status: 'QUEUED',
          recipientEmail: 'ada@demo.example',
          user: null,
          content: null,
        },
        {
          type: 'WELCOME_EMAIL',
          subject: 'Welcome',
          status: 'SENT',
          recipientEmail: 'ada@demo.example',
          user: { id: ada },
          content: { text: 'Welcome!\n' },
        },
      ],
    })
    for (const filter of [{ status: 'SENT' }, { userId: ada }]) {
      expect((await tier.ask(EMAILS, { filter }, userOf(demo))).data.transactionalEmails.totalCount).toBe(1)
    }
    const bad = await tier.ask(EMAILS, { filter: { userId: 'ada' } }, userOf(demo))
    expect(bad.errors?.[0]?.extensions.code).toBe('INVALID_INPUT')
  })

  test('retention policies in the order they apply, and uploads', async () => {
    expect((await tier.ask(POLICIES, {}, userOf(demo))).data.retentionPolicies.nodes).toEqual([
      { contentType: 'EMAIL', retentionDays: 100, priority: 10, isActive: true },
      { contentType: 'EMAIL', retentionDays: 200, priority: 20, isActive: true },
    ])
    expect((await tier.ask(UPLOADS, {}, userOf(demo))).data.uploads.nodes).toEqual([
      { filename: 'leads.csv', state: 'PENDING', user: { id: ada }, content: null },
    ])
  })

  test('are empty to another tenant, and closed to staff', async () => {
    for (const [query, field] of [
      [EMAILS, 'transactionalEmails'],
      [POLICIES, 'retentionPolicies'],
      [UPLOADS, 'uploads'],
    ] as const) {
      expect((await tier.ask(query, {}, userOf(rival))).data[field].nodes).toEqual([])
      expect((await tier.ask(query, {}, STAFF)).errors?.[0]?.extensions.code).toBe('FORBIDDEN')
    }
  })

  test("of transactional mail are for owners and admins, as references too: they may hold another's reset link", async () => {
    const query =
      'query ($refs: [_Any!]!) { _entities(representations: $refs) { ... on TransactionalEmail { subject } } }'
    const refs = [{ __typename: 'TransactionalEmail', id: emailId }]
    const seen = async (caller: ReturnType<typeof userOf>) => (await tier.ask(query, { refs }, caller)).data._entities
    expect(await seen(userOf(demo, { roles: ['admin'] }))).toEqual([{ subject: 'Welcome' }])
    expect(await seen(userOf(demo, { roles: ['viewer'] }))).toEqual([null])
    expect(await seen(userOf(rival))).toEqual([null])
    const list = await tier.ask(EMAILS, {}, userOf(demo, { roles: ['viewer'] }))
    expect(list.errors?.[0]?.extensions.code).toBe('FORBIDDEN')
  })
})
