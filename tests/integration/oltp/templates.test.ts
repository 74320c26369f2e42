import { afterAll, beforeAll, expect, test } from '@jest/globals'
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
const FIELDS = 'template { id name subject bodyText bodyHtml folder tags }'
const CREATE = `mutation ($input: CreateTemplateInput!) { createTemplate(input: $input) { ${FIELDS} } }`
const UPDATE = `mutation ($input: UpdateTemplateInput!) { updateTemplate(input: $input) { ${FIELDS} } }`
const DELETE = 'mutation ($input: DeleteTemplateInput!) { deleteTemplate(input: $input) { id } }'

const create = (input: object, workspace?: Workspace, role?: string) => ask(CREATE, { input }, workspace, role)
const update = (input: object, workspace?: Workspace, role?: string) => ask(UPDATE, { input }, workspace, role)
const drop = (templateId: string, workspace?: Workspace, role?: string) =>
  ask(DELETE, { input: { templateId } }, workspace, role)
const TEXT = { name: 'Hello', subject: 'Hi {{ lead.name }}', bodyText: 'Hello {{ lead.custom.city }}' }

async function setStatus({ tenantId, campaignId: id }: Workspace, status: string) {
  await tier.db.system.campaign.update({ where: { tenantId_id: { tenantId, id } }, data: { status } })
}

test('a template is created, changed where something is given, and deleted; the audit log holds no text of it', async () => {
  const workspace = await foundTenant(tier)
  const { value } = await create({ ...TEXT, folder: ' Intro ', tags: ['a', 'b', 'a'] }, workspace)
  const { id } = value.template
  expect(value.template).toEqual({ id, ...TEXT, bodyHtml: null, folder: 'Intro', tags: ['a', 'b'] })
  const changed = await update({ templateId: id, folder: null, bodyHtml: '<p>{{ lead.name }}</p>' }, workspace)
  expect(changed.value.template).toEqual({
    id,
    ...TEXT,
    bodyHtml: '<p>{{ lead.name }}</p>',
    folder: null,
    tags: ['a', 'b'],
  })
  expect(await drop(id, workspace)).toMatchObject({ value: { id } })
  expect((await ask('query ($id: ID!) { template(id: $id) { id } }', { id }, workspace)).value).toBeNull()
  expect((await drop(id, workspace)).code).toBe('NOT_FOUND')
  expect((await update({ templateId: id, name: 'x' }, workspace)).code).toBe('NOT_FOUND')
  const acts = await auditedActs(tier, workspace, 'Template')
  expect(acts.map(({ action }) => action)).toEqual(['template.create', 'template.update', 'template.delete'])
  expect(acts[1]?.newValues).toEqual({ folder: null, changed: ['bodyHtml', 'folder'] })
  expect(JSON.stringify(acts)).not.toMatch(/lead\.|Hello \{/)
  expect(acts.every(({ adminUserId }) => adminUserId === workspace.userId)).toBe(true)
})

test('the same key creates one; with another input it is a conflict', async () => {
  const input = { ...TEXT, idempotencyKey: 'once' }
  const answers = await Promise.all(Array.from({ length: 4 }, () => create(input)))
  expect(new Set(answers.map(({ value }) => value.template.id)).size).toBe(1)
  expect((await create({ ...input, name: 'Other' })).code).toBe('CONFLICT')
  expect((await create(input, rival)).value.template.id).not.toBe(answers[0]?.value.template.id)
})

test('what cannot be rendered is refused with its place, and nothing is written', async () => {
  const before = await tier.db.system.template.count({ where: { tenantId: demo.tenantId } })
  const unknown = await create({ ...TEXT, bodyText: '\n  {{ lead.frist }}' })
  expect(unknown).toMatchObject({
    code: 'INVALID_INPUT',
    extensions: { field: 'bodyText', line: 2, variable: 'lead.frist' },
  })
  expect(unknown.extensions.column).toBeGreaterThan(1)
  expect(await create({ ...TEXT, subject: '{% if %' })).toMatchObject({
    code: 'INVALID_INPUT',
    extensions: { field: 'subject', line: 1 },
  })
  const endless = '{% for a in (1..100000) %}{% for b in (1..100000) %}x{% endfor %}{% endfor %}'
  expect((await create({ ...TEXT, bodyHtml: endless })).extensions).toMatchObject({ field: 'bodyHtml' })
  expect((await create({ name: 'x', subject: 'x' })).code).toBe('INVALID_INPUT')
  expect((await create({ ...TEXT, name: ' ' })).code).toBe('INVALID_INPUT')
  expect((await create({ ...TEXT, bodyText: 'a\0b' })).code).toBe('INVALID_INPUT')
  expect((await create({ ...TEXT, tags: Array.from({ length: 21 }, (_, n) => `t${n}`) })).code).toBe('INVALID_INPUT')
  expect((await update({ templateId: demo.templateId, bodyText: '{{ nobody }}' })).code).toBe('INVALID_INPUT')
  expect(await tier.db.system.template.count({ where: { tenantId: demo.tenantId } })).toBe(before)
})

test('while a campaign sends it, a template keeps its texts and stays; its name and folder may change', async () => {
  const workspace = await foundTenant(tier)
  const { templateId } = workspace
  for (const status of ['sending', 'scheduled']) {
    await setStatus(workspace, status)
    expect((await drop(templateId, workspace)).code).toBe('CONFLICT')
    expect((await update({ templateId, bodyText: 'New' }, workspace)).code).toBe('CONFLICT')
  }
  await setStatus(workspace, 'paused')
  expect((await update({ templateId, bodyText: 'Hello' }, workspace)).code).toBeUndefined()
  await setStatus(workspace, 'sending')
  const moved = await update({ templateId, name: 'Renamed', folder: 'Other', bodyText: 'Hello' }, workspace)
  expect(moved.value.template).toMatchObject({ name: 'Renamed', folder: 'Other', bodyText: 'Hello' })
  await setStatus(workspace, 'completed')
  expect((await drop(templateId, workspace)).code).toBeUndefined()
})

test('folders and tags are counted, the deleted left out, in one statement each', async () => {
  const workspace = await foundTenant(tier)
  const first = await create({ ...TEXT, folder: 'Intro', tags: ['new', 'b2b'] }, workspace)
  const gone = await create({ ...TEXT, folder: 'Gone', tags: ['gone'] }, workspace)
  await drop(gone.value.template.id, workspace)
  expect(first.code).toBeUndefined()
  const { result, statements } = await tier.db.statements.during(() =>
    Promise.all([
      ask('{ templateFolders { name templateCount } }', {}, workspace),
      ask('{ templateTags { name templateCount } }', {}, workspace),
    ]),
  )
  expect(result[0].value).toEqual([{ name: 'Intro', templateCount: 2 }])
  expect(result[1].value).toEqual([
    { name: 'b2b', templateCount: 1 },
    { name: 'new', templateCount: 2 },
  ])
  expect(statements.filter((text) => /FROM templates/.test(text))).toHaveLength(2)
  expect((await ask('{ templateFolders { name } }', {}, rival)).value).toEqual([{ name: 'Intro' }])
})

test("another tenant's template is not found, like one that does not exist; a malformed id is invalid", async () => {
  for (const templateId of [rival.templateId, '01930000-0000-7000-8000-00000000dead']) {
    expect((await update({ templateId, name: 'Mine' })).code).toBe('NOT_FOUND')
    expect((await drop(templateId)).code).toBe('NOT_FOUND')
  }
  expect((await drop('x')).code).toBe('INVALID_INPUT')
  const theirs = await ask('query ($id: ID!) { template(id: $id) { name } }', { id: rival.templateId }, rival)
  expect(theirs.value).toEqual({ name: 'Hello' })
})

test('viewers, staff and services change none', async () => {
  expect((await create(TEXT, demo, 'viewer')).code).toBe('FORBIDDEN')
  expect((await update({ templateId: demo.templateId }, demo, 'viewer')).code).toBe('FORBIDDEN')
  expect((await drop(demo.templateId, demo, 'viewer')).code).toBe('FORBIDDEN')
  for (const caller of [STAFF, SERVICE]) {
    const answer = await tier.ask(CREATE, { input: TEXT }, caller)
    expect(answer.errors?.[0]?.extensions.code).toBe('FORBIDDEN')
  }
})
