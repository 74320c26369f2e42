import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { v7 as uuidv7 } from 'uuid'
import { makeMail } from '../../support/mails.ts'
import { type OltpTier, SERVICE, STAFF, startOltpTier, userOf } from './oltpTier.ts'
import { foundTenant, type Workspace } from './workspace.ts'

let tier: OltpTier
let demo: Workspace
let rival: Workspace

beforeAll(async () => {
  tier = await startOltpTier({ content: true })
  demo = await foundTenant(tier)
  rival = await foundTenant(tier)
})
afterAll(() => tier?.stop())

const RECORD = `mutation ($input: RecordSentMessagesInput!) { recordSentMessages(input: $input) { id status } }`

function sentBy({ tenantId, campaignId, stepId, leadId, mailboxId, domain }: Workspace, parts: object = {}) {
  const id = uuidv7()
  const raw = makeMail({ messageId: `${id}@${domain}`, headers: { From: `sales@${domain}`, To: 'Lee@x.example' } })
  const times = { queuedAt: '2026-11-20T10:00:00Z', sentAt: '2026-11-20T10:01:00Z' }
  return { tenantId, id, campaignId, stepId, leadId, emailAccountId: mailboxId, raw, ...times, ...parts }
}

async function record(...items: object[]) {
  const answer = await tier.ask(RECORD, { input: { items } }, SERVICE)
  return { results: answer.data?.recordSentMessages, code: answer.errors?.[0]?.extensions.code }
}

test('mails of several tenants are recorded with everything that became of them', async () => {
  const opened = sentBy(demo, {
    deliveredAt: '2026-11-20T22:59:59Z',
    // In Berlin it is the next day.
    openedAt: '2026-11-20T23:00:00Z',
    openClass: 'PROXY',
    clickedAt: '2026-11-21T08:00:00Z',
  })
  const bounced = sentBy(demo, { bouncedAt: '2026-11-20T10:02:00Z', bounceType: 'SOFT' })
  const foreign = sentBy(rival, { sentAt: null })
  expect((await record(opened, bounced, foreign)).results).toEqual(
    [opened, bounced, foreign].map(({ id }) => ({ id, status: 'RECORDED' })),
  )

  const messages = await tier.db.system.inboxMessageRef.findMany({ where: { tenantId: demo.tenantId } })
  expect(messages.find(({ id }) => id === opened.id)).toMatchObject({
    direction: 'outbound',
    status: 'opened',
    threadId: opened.id,
    toEmail: 'lee@x.example',
    createdAt: new Date(opened.queuedAt),
    openedAt: new Date('2026-11-20T23:00:00Z'),
    humanOpenedAt: null,
    bounceType: null,
    version: 4,
  })
  expect(messages.find(({ id }) => id === bounced.id)).toMatchObject({ status: 'bounced', bounceType: 'soft' })
  const queued = await tier.db.system.inboxMessageRef.findFirst({ where: { id: foreign.id } })
  expect(queued).toMatchObject({ tenantId: rival.tenantId, status: 'queued', sentAt: null })

  const events = await tier.announced(demo.tenantId)
  const ofOpened = events.filter(({ aggregateId }) => aggregateId === opened.id)
  expect(ofOpened.map(({ eventType, aggregateVersion }) => [eventType, aggregateVersion])).toEqual([
    ['email.sent', 1],
    ['email.delivered', 2],
    ['email.opened', 3],
    ['email.clicked', 4],
  ])
  expect(ofOpened.map(({ payload }) => (payload as { localDay: string }).localDay)).toEqual([
    '2026-11-20',
    '2026-11-20',
    '2026-11-21',
    '2026-11-21',
  ])
  expect(ofOpened[2]?.payload).toEqual({
    eventType: 'opened',
    occurredAt: '2026-11-20T23:00:00.000Z',
    localDay: '2026-11-21',
    openClass: 'proxy',
    messageId: opened.id,
    campaignId: demo.campaignId,
    stepId: demo.stepId,
    leadId: demo.leadId,
    emailAccountId: demo.mailboxId,
    domainId: demo.domainId,
    companyId: demo.companyId,
    smtpIpAddressId: demo.addressId,
  })
  expect(await tier.announced(rival.tenantId)).toEqual([])
})

test('an open counts as that of a person only when a person opened the mail', async () => {
  const openedAt = '2026-11-20T12:00:00Z'
  const mails = ['HUMAN', 'PROXY', 'SCANNER'].map((openClass) => sentBy(demo, { openedAt, openClass }))
  const unopened = sentBy(demo, { openClass: 'HUMAN' })
  await record(...mails, unopened)
  const rows = await tier.db.system.inboxMessageRef.findMany({ where: { tenantId: demo.tenantId } })
  const opens = [...mails, unopened].map(({ id }) => {
    const row = rows.find((one) => one.id === id)
    return [row?.openedAt?.toISOString(), row?.humanOpenedAt?.toISOString()]
  })
  const at = '2026-11-20T12:00:00.000Z'
  expect(opens).toEqual([
    [at, at],
    [at, undefined],
    [at, undefined],
    [undefined, undefined],
  ])
})

test('recording again changes nothing, even with another mail under the same id', async () => {
  const item = sentBy(demo)
  const earlier = await tier.announced(demo.tenantId)
  await record(item, item)
  const before = await tier.announced(demo.tenantId)
  expect(before).toHaveLength(earlier.length + 1)
  const again = await record(item, { ...item, raw: makeMail(), deliveredAt: '2026-11-20T11:00:00Z' })
  expect(again.results.map(({ status }: { status: string }) => status)).toEqual(['DUPLICATE', 'DUPLICATE'])
  expect(await tier.announced(demo.tenantId)).toEqual(before)
})

test("an item that names what is not its tenant's own is refused, like one that names nothing", async () => {
  const absent = uuidv7()
  for (const [field, foreign] of [
    ['emailAccountId', rival.mailboxId],
    ['campaignId', rival.campaignId],
    ['stepId', rival.stepId],
    ['leadId', rival.leadId],
  ] as const) {
    expect((await record(sentBy(demo, { [field]: foreign }))).code).toBe('NOT_FOUND')
    expect((await record(sentBy(demo, { [field]: absent }))).code).toBe('NOT_FOUND')
    expect((await record(sentBy(demo, { [field]: 'x' }))).code).toBe('INVALID_INPUT')
  }
  expect((await record(sentBy(demo, { tenantId: absent }))).code).toBe('NOT_FOUND')
})

test('more than a hundred at a time, or an empty mail, are refused', async () => {
  const items = Array.from({ length: 101 }, () => sentBy(demo))
  expect((await record(...items)).code).toBe('LIMIT_REACHED')
  expect((await record(sentBy(demo, { raw: '' }))).code).toBe('INVALID_INPUT')
})

test('a hundred mails take a handful of statements', async () => {
  const items = Array.from({ length: 100 }, () => sentBy(demo, { deliveredAt: '2026-11-20T11:00:00Z' }))
  const { result, statements } = await tier.db.statements.during(() => record(...items))
  expect(result.results).toHaveLength(100)
  // Neither the relay's work nor what a new connection prepares.
  const own = statements.filter((text) => !/(FROM|UPDATE) outbox_events|set_config/.test(text))
  expect(own.length).toBeLessThanOrEqual(6)
})

test('only our own processes record', async () => {
  for (const caller of [userOf(demo.tenantId), STAFF]) {
    const answer = await tier.ask(RECORD, { input: { items: [sentBy(demo)] } }, caller)
    expect(answer.errors?.[0]?.extensions.code).toBe('FORBIDDEN')
  }
})
