import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { v7 as uuidv7 } from 'uuid'
import { auditedActs, makeAsk } from './asking.ts'
import { type OltpTier, SERVICE, STAFF, startOltpTier } from './oltpTier.ts'
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

const ask = makeAsk(
  () => tier,
  () => demo,
)
const FIELDS = 'lead { id email name company title custom status unsubscribedAt }'
const mutation = (name: string, type: string, selection: string) => {
  const text = `mutation ($input: ${type}!) { ${name}(input: $input) { ${selection} } }`
  return (input: object, workspace?: Workspace, role?: string) => ask(text, { input }, workspace, role)
}
const create = mutation('createLead', 'CreateLeadInput', FIELDS)
const update = mutation('updateLead', 'UpdateLeadInput', FIELDS)
const drop = mutation('deleteLead', 'DeleteLeadInput', 'id')
const unsubscribe = mutation('unsubscribeLead', 'UnsubscribeLeadInput', FIELDS)
const addSuppression = mutation(
  'addSuppression',
  'AddSuppressionInput',
  'suppression { id email domain reason scope company { id } }',
)

async function queueMail({ tenantId, mailboxId, campaignId, leadId }: Workspace): Promise<string> {
  const id = uuidv7()
  const names = { tenantId, id, emailAccountId: mailboxId, campaignId, leadId, threadId: id, dedupKey: id }
  await tier.db.system.inboxMessageRef.create({ data: { ...names, direction: 'outbound', status: 'queued' } })
  return id
}

async function stateOf({ tenantId, enrollmentId }: Workspace, messageId: string) {
  const key = (id: string) => ({ where: { tenantId_id: { tenantId, id } } })
  const enrollment = await tier.db.system.campaignEnrollment.findUniqueOrThrow(key(enrollmentId))
  const message = await tier.db.system.inboxMessageRef.findUniqueOrThrow(key(messageId))
  return [enrollment.status, enrollment.stopReason, message.status, message.failureReason]
}

test('a lead is created with its address in one form, changed where something is given, and found again', async () => {
  const given = {
    email: 'Ann.Lee@Books.EXAMPLE',
    name: ' Ann ',
    company: '',
    custom: { city: 'Kiel', age: 41, vip: true },
  }
  const { value } = await create(given)
  const { id } = value.lead
  expect(value.lead).toEqual({
    id,
    email: 'ann.lee@books.example',
    name: 'Ann',
    company: null,
    title: null,
    custom: given.custom,
    status: 'NEW',
    unsubscribedAt: null,
  })
  const changed = await update({ leadId: id, title: 'CTO', custom: { city: 'Bonn' } })
  expect(changed.value.lead).toMatchObject({ name: 'Ann', title: 'CTO', custom: { city: 'Bonn' } })
  const acts = await auditedActs(tier, demo, 'Lead')
  expect(acts.map(({ action, newValues }) => [action, newValues])).toEqual([
    ['lead.create', { fields: ['city', 'age', 'vip'] }],
    ['lead.update', { changed: ['title', 'custom'] }],
  ])
  expect(JSON.stringify(acts)).not.toMatch(/Ann|ann|Kiel/)
})

test('an address belongs to one lead of a tenant; the same key creates one', async () => {
  const input = { email: 'twice@x.example', idempotencyKey: 'lead key' }
  const answers = await Promise.all(Array.from({ length: 4 }, () => create(input)))
  expect(new Set(answers.map(({ value }) => value.lead.id)).size).toBe(1)
  expect((await create({ email: 'TWICE@x.example' })).code).toBe('CONFLICT')
  expect((await create({ email: 'other@x.example', idempotencyKey: 'lead key' })).code).toBe('CONFLICT')
  const other = await create({ email: 'free@x.example' })
  expect((await update({ leadId: other.value.lead.id, email: 'twice@x.example' })).code).toBe('CONFLICT')
  expect((await create({ email: 'twice@x.example' }, rival)).code).toBeUndefined()
})

test('custom fields are an object of texts, numbers and booleans, and not too much of it', async () => {
  const withCustom = (custom: unknown) => create({ email: `${uuidv7()}@x.example`, custom })
  for (const custom of [
    [1],
    'text',
    { a: { b: 1 } },
    { a: [1] },
    { '': 1 },
    { 'a b': 1 },
    { constructor: 'x' },
    { ['x'.repeat(65)]: 1 },
    { a: 'x\0' },
    { a: 'x'.repeat(17_000) },
    Object.fromEntries(Array.from({ length: 101 }, (_, n) => [`f${n}`, n])),
    Object.fromEntries(Array.from({ length: 90 }, (_, n) => [`f${n}`, 'x'.repeat(400)])),
  ]) {
    expect((await withCustom(custom)).code).toBe('INVALID_INPUT')
  }
  expect((await withCustom({ größe: 1, a_b: null, 'a-b': '' })).code).toBeUndefined()
  for (const email of ['x', 'a@b', 'a b@x.example', `${'a'.repeat(65)}@x.example`]) {
    expect((await create({ email })).code).toBe('INVALID_INPUT')
  }
  expect((await update({ leadId: demo.leadId, email: null })).code).toBe('INVALID_INPUT')
})

test("a plan's leads are counted also while two create at once; a closed tenant creates none", async () => {
  const workspace = await foundTenant(tier)
  const planId = uuidv7()
  const { tenantId } = workspace
  await tier.db.system.plan.create({ data: { id: planId, code: planId, name: 'Tiny', maxLeads: 3 } })
  await tier.db.system.subscription.updateMany({ where: { tenantId }, data: { planId } })
  const answers = await Promise.all(
    Array.from({ length: 6 }, (_, n) => create({ email: `n${n}@x.example` }, workspace)),
  )
  expect(answers.filter(({ code }) => code === undefined)).toHaveLength(2)
  expect(answers.filter(({ code }) => code === 'LIMIT_REACHED')).toHaveLength(4)
  expect(answers.find(({ code }) => code)?.extensions).toMatchObject({ limit: 'maxLeads', room: 0 })
  expect(await tier.db.system.lead.count({ where: { tenantId } })).toBe(3)
  await tier.db.system.tenant.update({ where: { id: tenantId }, data: { deletedAt: new Date() } })
  expect((await create({ email: 'late@x.example' }, workspace)).code).toBe('NOT_FOUND')
})

test('who is unsubscribed leaves its campaigns, is not written to what was queued, and stays so', async () => {
  const workspace = await foundTenant(tier)
  const messageId = await queueMail(workspace)
  const first = await unsubscribe({ leadId: workspace.leadId }, workspace)
  expect(first.value.lead).toMatchObject({ status: 'UNSUBSCRIBED', unsubscribedAt: expect.any(String) })
  expect(await stateOf(workspace, messageId)).toEqual(['unsubscribed', 'unsubscribed', 'failed', 'unsubscribed'])
  const again = await unsubscribe({ leadId: workspace.leadId }, workspace)
  expect(again.value.lead).toEqual(first.value.lead)
  const { value } = await ask('{ suppressions { nodes { email reason scope } } }', {}, workspace)
  expect(value.nodes).toEqual([
    { email: `lead@customer-${workspace.slug}.example`, reason: 'UNSUBSCRIBE', scope: 'TENANT' },
  ])
  const [act] = await auditedActs(tier, workspace, 'Lead')
  expect(act).toMatchObject({ action: 'lead.unsubscribe', newValues: { stoppedEnrollments: 1, failedMails: 1 } })
})

test('a deleted lead leaves its campaigns and gets no more mail; its address is free again', async () => {
  const workspace = await foundTenant(tier)
  const messageId = await queueMail(workspace)
  expect((await drop({ leadId: workspace.leadId }, workspace)).value).toEqual({ id: workspace.leadId })
  expect(await stateOf(workspace, messageId)).toEqual(['stopped', 'lead_deleted', 'failed', 'lead_deleted'])
  expect((await drop({ leadId: workspace.leadId }, workspace)).code).toBe('NOT_FOUND')
  expect((await unsubscribe({ leadId: workspace.leadId }, workspace)).code).toBe('NOT_FOUND')
  expect((await create({ email: `lead@customer-${workspace.slug}.example` }, workspace)).code).toBeUndefined()
})

test('an address or a domain is suppressed once, by the tenant or one of its companies', async () => {
  const workspace = await foundTenant(tier)
  const messageId = await queueMail(workspace)
  const email = `Lead@customer-${workspace.slug}.example`
  const first = await addSuppression({ email, companyId: workspace.companyId }, workspace)
  expect(first.value.suppression).toMatchObject({
    email: email.toLowerCase(),
    domain: null,
    reason: 'MANUAL',
    scope: 'COMPANY',
    company: { id: workspace.companyId },
  })
  expect(await stateOf(workspace, messageId)).toEqual(['stopped', 'suppressed', 'failed', 'suppressed'])
  const again = await addSuppression({ email, companyId: workspace.companyId }, workspace)
  expect(again.value.suppression.id).toBe(first.value.suppression.id)
  const domain = await addSuppression({ domain: 'Spam.Example.', idempotencyKey: 'd' }, workspace)
  expect(domain.value.suppression).toMatchObject({
    email: null,
    domain: 'spam.example',
    scope: 'TENANT',
    company: null,
  })
  expect((await addSuppression({ domain: 'spam.example', idempotencyKey: 'd' }, workspace)).value).toEqual(domain.value)
  expect((await addSuppression({ domain: 'ham.example', idempotencyKey: 'd' }, workspace)).code).toBe('CONFLICT')
  expect((await addSuppression({ email, domain: 'x.example' }, workspace)).code).toBe('INVALID_INPUT')
  expect((await addSuppression({}, workspace)).code).toBe('INVALID_INPUT')
  expect((await addSuppression({ domain: 'no domain' }, workspace)).code).toBe('INVALID_INPUT')
  expect((await addSuppression({ email, companyId: rival.companyId }, workspace)).code).toBe('NOT_FOUND')
  const list = async (filter: string) =>
    (await ask(`{ suppressions(filter: { ${filter} }) { nodes { id } } }`, {}, workspace)).value.nodes
  expect(await list(`email: "${email}"`)).toEqual([{ id: first.value.suppression.id }])
  expect(await list('domain: "SPAM.example"')).toEqual([{ id: domain.value.suppression.id }])
  expect(await list('scope: COMPANY, reason: MANUAL')).toEqual([{ id: first.value.suppression.id }])
  expect(await list('reason: BOUNCE')).toEqual([])
  expect((await ask('{ suppressions { nodes { id } } }', {}, rival)).value.nodes).toEqual([])
})

test('leads are counted by where they stand, in one statement', async () => {
  const workspace = await foundTenant(tier)
  await create({ email: 'second@x.example' }, workspace)
  await unsubscribe({ leadId: workspace.leadId }, workspace)
  const query = '{ leadStats { id total new unsubscribed contacted inCampaigns suppressions } }'
  const { result, statements } = await tier.db.statements.during(() => ask(query, {}, workspace))
  expect(result.value).toEqual({
    id: workspace.tenantId,
    total: 2,
    new: 1,
    unsubscribed: 1,
    contacted: 0,
    inCampaigns: 0,
    suppressions: 1,
  })
  expect(statements.filter((text) => /FROM leads/.test(text))).toHaveLength(1)
  const entity = `query ($r: [_Any!]!) { _entities(representations: $r) { ... on LeadStats { total } } }`
  const of = (id: string) => ask(entity, { r: [{ __typename: 'LeadStats', id }] }, workspace)
  expect((await of(workspace.tenantId)).value).toEqual([{ total: 2 }])
  expect((await of(rival.tenantId)).value).toEqual([null])
})

test("a campaign's leads are listed with how far they got, by state, whatever their number in the same statements", async () => {
  const workspace = await foundTenant(tier)
  const { tenantId, campaignId } = workspace
  const many = Array.from({ length: 60 }, (_, n) => ({ tenantId, id: uuidv7(), email: `n${n}@x.example` }))
  const query = `query ($id: ID!, $status: CampaignEnrollmentStatus) {
    campaignLeads(campaignId: $id, first: 100, filter: { status: $status }) {
      nodes { status currentStepOrder stopReason endedAt lead { email } emailAccount { email } } totalCount } }`
  const list = (status: string | null, of = workspace) => ask(query, { id: campaignId, status }, of)
  const counted = async () => {
    const { result, statements } = await tier.db.statements.during(() => list(null))
    return {
      nodes: result.value.nodes.length,
      count: statements.filter((text) => !/set_config|outbox/.test(text)).length,
    }
  }
  const one = await counted()
  await tier.db.system.lead.createMany({ data: many })
  await tier.db.system.campaignEnrollment.createMany({
    data: many.map(({ id: leadId }) => ({ tenantId, id: uuidv7(), campaignId, leadId, status: 'completed' })),
  })
  expect(await counted()).toEqual({ nodes: 61, count: one.count })
  expect((await list('ACTIVE')).value).toMatchObject({
    totalCount: 1,
    nodes: [{ status: 'ACTIVE', currentStepOrder: 0, stopReason: null, lead: { email: expect.any(String) } }],
  })
  expect((await list(null, rival)).value).toBeNull()
})

test("another tenant's lead is not found, like one that does not exist", async () => {
  for (const leadId of [rival.leadId, '01930000-0000-7000-8000-00000000dead']) {
    expect((await update({ leadId, name: 'Mine' })).code).toBe('NOT_FOUND')
    expect((await drop({ leadId })).code).toBe('NOT_FOUND')
    expect((await unsubscribe({ leadId })).code).toBe('NOT_FOUND')
  }
  const lead = await tier.db.system.lead.findFirstOrThrow({ where: { tenantId: rival.tenantId, id: rival.leadId } })
  expect(lead).toMatchObject({ name: 'Lee', status: 'new', deletedAt: null })
})

test('viewers, staff and services change none', async () => {
  const inputs = [create({ email: 'v@x.example' }, demo, 'viewer'), drop({ leadId: demo.leadId }, demo, 'viewer')]
  inputs.push(update({ leadId: demo.leadId }, demo, 'viewer'), unsubscribe({ leadId: demo.leadId }, demo, 'viewer'))
  inputs.push(addSuppression({ domain: 'x.example' }, demo, 'viewer'))
  for (const { code } of await Promise.all(inputs)) expect(code).toBe('FORBIDDEN')
  for (const caller of [STAFF, SERVICE]) {
    const text = 'mutation ($id: ID!) { deleteLead(input: { leadId: $id }) { id } }'
    const answer = await tier.ask(text, { id: demo.leadId }, caller)
    expect(answer.errors?.[0]?.extensions.code).toBe('FORBIDDEN')
  }
})
