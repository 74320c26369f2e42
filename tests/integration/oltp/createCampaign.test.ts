import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type OltpTier, SERVICE, STAFF, startOltpTier, userOf } from './oltpTier.ts'
import { foundTenant, type Workspace } from './workspace.ts'

let tier: OltpTier
let demo: Workspace
let rival: Workspace

beforeAll(async () => {
  tier = await startOltpTier()
  demo = await foundTenant(tier)
  rival = await foundTenant(tier)
})
afterAll(() => tier?.stop())

const CREATE = `mutation ($input: CreateCampaignInput!) {
  createCampaign(input: $input) { campaign { id name description status company { id } } }
}`

async function create(input: object, workspace = demo) {
  const caller = userOf(workspace.tenantId, { userId: workspace.userId, roles: ['employee'] })
  const answer = await tier.ask(CREATE, { input }, caller)
  return { campaign: answer.data?.createCampaign.campaign, code: answer.errors?.[0]?.extensions.code }
}

test('a campaign begins as a draft, and the audit log is told who made it', async () => {
  const { campaign } = await create({ companyId: demo.companyId, name: '  Summer ', description: 'Sunny' })
  expect(campaign).toEqual({
    id: expect.any(String),
    name: 'Summer',
    description: 'Sunny',
    status: 'DRAFT',
    company: { id: demo.companyId },
  })
  expect(await tier.announced(demo.tenantId)).toEqual([
    expect.objectContaining({
      eventType: 'audit.recorded',
      aggregateType: 'Campaign',
      aggregateId: campaign.id,
      payload: expect.objectContaining({
        adminUserId: demo.userId,
        action: 'campaign.create',
        resourceId: campaign.id,
      }),
    }),
  ])
})

test('an idempotency key gives the first campaign again; with another input it is a conflict', async () => {
  const input = { companyId: demo.companyId, name: 'Once', idempotencyKey: 'once' }
  const answers = await Promise.all(Array.from({ length: 5 }, () => create(input)))
  expect(new Set(answers.map(({ campaign }) => campaign.id)).size).toBe(1)
  expect(await create(input)).toEqual(answers[0])
  expect((await create({ ...input, name: 'Twice' })).code).toBe('CONFLICT')
  expect(
    await tier.db.system.campaign.count({ where: { tenantId: demo.tenantId, name: { in: ['Once', 'Twice'] } } }),
  ).toBe(1)
  const foreign = await create({ ...input, companyId: rival.companyId }, rival)
  expect(foreign.campaign.id).not.toBe(answers[0]?.campaign.id)
})

test('a key past its time counts as never used', async () => {
  const input = { companyId: demo.companyId, name: 'Old', idempotencyKey: 'old' }
  const first = await create(input)
  await tier.db.system.idempotencyKey.updateMany({ where: { key: 'old' }, data: { expiresAt: new Date(0) } })
  const second = await create({ ...input, name: 'New' })
  expect(second.code).toBeUndefined()
  expect(second.campaign.id).not.toBe(first.campaign.id)
})

test('a refused request leaves its key free', async () => {
  const input = { companyId: rival.companyId, name: 'Later', idempotencyKey: 'later' }
  expect((await create(input)).code).toBe('NOT_FOUND')
  expect((await create({ ...input, companyId: demo.companyId })).code).toBeUndefined()
})

test("another tenant's company is not found, like one that does not exist or is deleted", async () => {
  const deleted = await foundTenant(tier)
  await tier.db.system.company.updateMany({ where: { tenantId: deleted.tenantId }, data: { deletedAt: new Date() } })
  expect((await create({ companyId: rival.companyId, name: 'x' })).code).toBe('NOT_FOUND')
  expect((await create({ companyId: '01930000-0000-7000-8000-00000000dead', name: 'x' })).code).toBe('NOT_FOUND')
  expect((await create({ companyId: deleted.companyId, name: 'x' }, deleted)).code).toBe('NOT_FOUND')
})

test('a tenant that was closed gets no more campaigns, whatever its tokens say', async () => {
  const closed = await foundTenant(tier)
  await tier.db.system.tenant.updateMany({ where: { id: closed.tenantId }, data: { deletedAt: new Date() } })
  expect((await create({ companyId: closed.companyId, name: 'x' }, closed)).code).toBe('NOT_FOUND')
})

test('a malformed id and texts that are empty, endless, hold a NUL or half a character are invalid input', async () => {
  const { companyId } = demo
  expect((await create({ companyId: 'x', name: 'x' })).code).toBe('INVALID_INPUT')
  expect((await create({ companyId, name: ' ' })).code).toBe('INVALID_INPUT')
  expect((await create({ companyId, name: 'n'.repeat(201) })).code).toBe('INVALID_INPUT')
  expect((await create({ companyId, name: 'a\0b' })).code).toBe('INVALID_INPUT')
  expect((await create({ companyId, name: 'a\ud83d' })).code).toBe('INVALID_INPUT')
  expect((await create({ companyId, name: 'x', description: '\udc27b' })).code).toBe('INVALID_INPUT')
  expect((await create({ companyId, name: 'x', idempotencyKey: 'k\ud83d' })).code).toBe('INVALID_INPUT')
  expect((await create({ companyId, name: '\ud83d\udc27' })).code).toBeUndefined()
})

test('viewers, staff and services create none', async () => {
  for (const caller of [userOf(demo.tenantId, { roles: ['viewer'] }), STAFF, SERVICE]) {
    const answer = await tier.ask(CREATE, { input: { companyId: demo.companyId, name: 'x' } }, caller)
    expect(answer.errors?.[0]?.extensions.code).toBe('FORBIDDEN')
  }
})
