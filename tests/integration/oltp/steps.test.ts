import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { v7 as uuidv7 } from 'uuid'
import { auditedActs, makeAsk } from './asking.ts'
import { foundLaunchable } from './launchable.ts'
import { type OltpTier, SERVICE, STAFF, startOltpTier } from './oltpTier.ts'
import type { Workspace } from './workspace.ts'

let tier: OltpTier
let demo: Workspace
let rival: Workspace

beforeAll(async () => {
  tier = await startOltpTier()
  demo = await foundLaunchable(tier)
  rival = await foundLaunchable(tier)
})
afterAll(() => tier?.stop())

const ask = makeAsk(
  () => tier,
  () => demo,
)
const STEP = `step { id stepOrder stepType template { id } emailAccount { id } subjectOverride waitHours condition isActive
  campaign { id } }`
const mutation = (name: string, selection: string) => {
  const type = `${name[0]?.toUpperCase()}${name.slice(1)}Input`
  const text = `mutation ($input: ${type}!) { ${name}(input: $input) { ${selection} } }`
  return (input: object, workspace?: Workspace, role?: string) => ask(text, { input }, workspace, role)
}
const add = mutation('addCampaignStep', STEP)
const update = mutation('updateCampaignStep', STEP)
const reorder = mutation('reorderCampaignSteps', 'campaign { steps { id stepOrder } }')
const drop = mutation('deleteCampaignStep', 'campaign { steps { id stepOrder } }')

async function setStatus({ tenantId, campaignId: id }: Workspace, status: string) {
  await tier.db.system.campaign.update({ where: { tenantId_id: { tenantId, id } }, data: { status } })
}

/** Steps of the workspace's campaign in order: the first is its own, those added after it are waits of 1, 2, … hours. */
async function foundSequence(waits: number) {
  const workspace = await foundLaunchable(tier)
  const ids = [workspace.stepId]
  for (let waitHours = 1; waitHours <= waits; waitHours += 1) {
    const { value } = await add({ campaignId: workspace.campaignId, stepType: 'WAIT', waitHours }, workspace)
    ids.push(value.step.id)
  }
  return { workspace, ids }
}

async function stepsOf({ campaignId }: Workspace, workspace: Workspace) {
  const query = 'query ($id: ID!) { campaign(id: $id) { steps { id stepOrder } } }'
  return (await ask(query, { id: campaignId }, workspace)).value.steps
}

const inOrder = (ids: unknown[]) => ids.map((id, index) => ({ id, stepOrder: index + 1 }))

test('email, wait and condition steps are added where they belong, and changed where something is given', async () => {
  const { campaignId, templateId, mailboxId, stepId } = demo
  const wait = await add({ campaignId, stepType: 'WAIT', waitHours: 48 })
  expect(wait.value.step).toMatchObject({ stepOrder: 2, stepType: 'WAIT', waitHours: 48, template: null })
  const email = await add({ campaignId, templateId, emailAccountId: mailboxId, subjectOverride: 'Re: {{ lead.name }}' })
  expect(email.value.step).toMatchObject({
    stepOrder: 3,
    stepType: 'EMAIL',
    template: { id: templateId },
    emailAccount: { id: mailboxId },
    subjectOverride: 'Re: {{ lead.name }}',
    condition: 'ALWAYS',
    isActive: true,
    campaign: { id: campaignId },
  })
  const condition = await add({ campaignId, stepType: 'CONDITION', condition: 'IF_NOT_OPENED', position: 3 })
  expect(condition.value.step.stepOrder).toBe(3)
  expect(await stepsOf(demo, demo)).toEqual(
    inOrder([stepId, wait.value.step.id, condition.value.step.id, email.value.step.id]),
  )
  const changed = await update({ stepId: email.value.step.id, emailAccountId: null, condition: 'IF_NOT_CLICKED' })
  expect(changed.value.step).toMatchObject({ emailAccount: null, condition: 'IF_NOT_CLICKED', stepOrder: 4 })
  expect(changed.value.step.subjectOverride).toBe('Re: {{ lead.name }}')
  const acts = await auditedActs(tier, demo, 'CampaignSequenceStep')
  expect(acts.map(({ action }) => action.replace('campaignStep.', ''))).toEqual(['add', 'add', 'add', 'update'])
  expect(acts.at(-1)?.newValues).toEqual({ emailAccountId: null, condition: 'if_not_clicked' })
})

test('a step that could do nothing, or too much, is not built', async () => {
  const { campaignId, templateId, mailboxId, stepId } = demo
  const before = await stepsOf(demo, demo)
  for (const step of [
    { stepType: 'EMAIL' },
    { templateId, subjectOverride: '{{ nobody }}' },
    { templateId, waitHours: -1 },
    { templateId, waitHours: 8761 },
    { templateId, position: 0 },
    { templateId, position: before.length + 2 },
    { stepType: 'WAIT' },
    { stepType: 'WAIT', waitHours: 0 },
    { stepType: 'WAIT', waitHours: 5, condition: 'IF_NOT_OPENED' },
    { stepType: 'WAIT', waitHours: 5, templateId },
    { stepType: 'CONDITION' },
    { stepType: 'CONDITION', condition: 'ALWAYS' },
    { stepType: 'CONDITION', condition: 'IF_NOT_OPENED', emailAccountId: mailboxId },
    { stepType: 'CONDITION', condition: 'IF_NOT_OPENED', subjectOverride: 'x' },
  ]) {
    expect((await add({ campaignId, ...step })).code).toBe('INVALID_INPUT')
  }
  expect((await update({ stepId, templateId: null })).code).toBe('INVALID_INPUT')
  expect((await update({ stepId, stepType: 'WAIT' })).code).toBe('INVALID_INPUT')
  expect(await stepsOf(demo, demo)).toEqual(before)
})

test('fifty steps are enough', async () => {
  const { workspace } = await foundSequence(0)
  const { tenantId, campaignId } = workspace
  await tier.db.system.campaignSequenceStep.createMany({
    data: Array.from({ length: 49 }, (_, n) => ({
      ...{ tenantId, id: uuidv7(), campaignId, stepOrder: n + 2, stepType: 'wait', waitHours: 1 },
    })),
  })
  expect((await add({ campaignId, stepType: 'WAIT', waitHours: 1 }, workspace)).code).toBe('LIMIT_REACHED')
})

test('a template or mailbox that is deleted, another company’s or another tenant’s is not found', async () => {
  const { workspace } = await foundSequence(0)
  const { tenantId, campaignId, templateId, stepId, pausedMailboxId } = workspace
  for (const parts of [{ templateId: rival.templateId }, { templateId: '01930000-0000-7000-8000-00000000dead' }]) {
    expect((await add({ campaignId, ...parts }, workspace)).code).toBe('NOT_FOUND')
    expect((await update({ stepId, ...parts }, workspace)).code).toBe('NOT_FOUND')
  }
  expect((await update({ stepId, emailAccountId: rival.mailboxId }, workspace)).code).toBe('NOT_FOUND')
  const ids = { companyId: uuidv7(), domainId: uuidv7(), mailboxId: uuidv7() }
  await tier.db.system.company.create({ data: { tenantId, id: ids.companyId, name: 'Other' } })
  const domain = `other-${workspace.domain}`
  await tier.db.system.domain.create({ data: { tenantId, id: ids.domainId, companyId: ids.companyId, domain } })
  const email = `x@${domain}`
  await tier.db.system.emailAccount.create({ data: { tenantId, id: ids.mailboxId, domainId: ids.domainId, email } })
  expect((await update({ stepId, emailAccountId: ids.mailboxId }, workspace)).code).toBe('NOT_FOUND')
  expect((await update({ stepId, emailAccountId: pausedMailboxId }, workspace)).code).toBeUndefined()
  await tier.db.system.emailAccount.updateMany({ where: { id: pausedMailboxId }, data: { deletedAt: new Date() } })
  expect((await update({ stepId, emailAccountId: pausedMailboxId }, workspace)).code).toBe('NOT_FOUND')
  await tier.db.system.template.updateMany({ where: { tenantId }, data: { deletedAt: new Date() } })
  expect((await add({ campaignId, templateId }, workspace)).code).toBe('NOT_FOUND')
})

test('all steps are put in another order at once; one named twice would be a way back to itself', async () => {
  const { workspace, ids } = await foundSequence(4)
  const { campaignId } = workspace
  const backwards = [...ids].reverse()
  const { value } = await reorder({ campaignId, stepIds: backwards }, workspace)
  expect(value.campaign.steps).toEqual(inOrder(backwards))
  expect((await reorder({ campaignId, stepIds: [...ids, ids[1]] }, workspace)).code).toBe('INVALID_INPUT')
  expect((await reorder({ campaignId, stepIds: [ids[0], ids[0], ids[1], ids[2], ids[3]] }, workspace)).code).toBe(
    'INVALID_INPUT',
  )
  expect((await reorder({ campaignId, stepIds: ids.slice(1) }, workspace)).code).toBe('INVALID_INPUT')
  expect((await reorder({ campaignId, stepIds: [...ids.slice(1), rival.stepId] }, workspace)).code).toBe('NOT_FOUND')
  expect((await reorder({ campaignId: rival.campaignId, stepIds: [rival.stepId] }, workspace)).code).toBe('NOT_FOUND')
  expect(await stepsOf(workspace, workspace)).toEqual(inOrder(backwards))
})

test('changed by many at once, a sequence stays one: each place once, none left out', async () => {
  const { workspace, ids } = await foundSequence(3)
  const { campaignId } = workspace
  await Promise.all([
    reorder({ campaignId, stepIds: [...ids].reverse() }, workspace),
    drop({ stepId: ids[1] }, workspace),
    ...[1, 2, 3].map((position) => add({ campaignId, stepType: 'WAIT', waitHours: 9, position }, workspace)),
  ])
  const steps = await stepsOf(workspace, workspace)
  expect(steps).toHaveLength(6)
  expect(steps.map(({ stepOrder }: { stepOrder: number }) => stepOrder)).toEqual([1, 2, 3, 4, 5, 6])
})

test('leads of a paused campaign stay behind the step they took last, wherever it goes', async () => {
  const { workspace, ids } = await foundSequence(3)
  const { tenantId, campaignId, enrollmentId } = workspace
  await setStatus(workspace, 'paused')
  const key = { tenantId_id: { tenantId, id: enrollmentId } }
  await tier.db.system.campaignEnrollment.update({ where: key, data: { currentStepOrder: 2 } })
  const place = async () => (await tier.db.system.campaignEnrollment.findUniqueOrThrow({ where: key })).currentStepOrder
  await add({ campaignId, stepType: 'WAIT', waitHours: 7, position: 1 }, workspace)
  expect(await place()).toBe(3)
  const order = (await stepsOf(workspace, workspace)).map(({ id }: { id: string }) => id)
  await reorder({ campaignId, stepIds: [order[2], ...order.filter((id: string) => id !== order[2])] }, workspace)
  expect(await place()).toBe(1)
  expect(ids[1]).toBe(order[2])
  await drop({ stepId: order[2] }, workspace)
  expect(await place()).toBe(0)
})

test('a deleted step leaves no gap; the same key adds one', async () => {
  const { workspace, ids } = await foundSequence(3)
  const { campaignId } = workspace
  expect((await drop({ stepId: ids[1] }, workspace)).value.campaign.steps).toEqual(inOrder([ids[0], ids[2], ids[3]]))
  expect((await drop({ stepId: ids[1] }, workspace)).code).toBe('NOT_FOUND')
  const input = { campaignId, stepType: 'WAIT', waitHours: 5, idempotencyKey: 'step' }
  const [first, second] = await Promise.all([add(input, workspace), add(input, workspace)])
  expect(first?.value).toEqual(second?.value)
  expect((await add({ ...input, waitHours: 6 }, workspace)).code).toBe('CONFLICT')
  expect(await stepsOf(workspace, workspace)).toHaveLength(4)
})

test('nothing of a sequence changes while it is sent, or once it has ended', async () => {
  const { workspace, ids } = await foundSequence(1)
  const { campaignId } = workspace
  for (const status of ['sending', 'completed', 'cancelled']) {
    await setStatus(workspace, status)
    expect((await add({ campaignId, stepType: 'WAIT', waitHours: 1 }, workspace)).code).toBe('CONFLICT')
    expect((await update({ stepId: ids[1], waitHours: 2 }, workspace)).code).toBe('CONFLICT')
    expect((await reorder({ campaignId, stepIds: [...ids].reverse() }, workspace)).code).toBe('CONFLICT')
    expect((await drop({ stepId: ids[1] }, workspace)).code).toBe('CONFLICT')
  }
  expect(await stepsOf(workspace, workspace)).toEqual(inOrder(ids))
})

test("another tenant's steps are not found; viewers, staff and services change none", async () => {
  const before = await stepsOf(rival, rival)
  for (const stepId of [rival.stepId, '01930000-0000-7000-8000-00000000dead']) {
    expect((await update({ stepId, waitHours: 1 })).code).toBe('NOT_FOUND')
    expect((await drop({ stepId })).code).toBe('NOT_FOUND')
  }
  expect((await add({ campaignId: rival.campaignId, stepType: 'WAIT', waitHours: 1 })).code).toBe('NOT_FOUND')
  expect(await stepsOf(rival, rival)).toEqual(before)
  const { campaignId, stepId } = demo
  expect((await add({ campaignId, stepType: 'WAIT', waitHours: 1 }, demo, 'viewer')).code).toBe('FORBIDDEN')
  expect((await update({ stepId, waitHours: 1 }, demo, 'viewer')).code).toBe('FORBIDDEN')
  expect((await reorder({ campaignId, stepIds: [stepId] }, demo, 'viewer')).code).toBe('FORBIDDEN')
  expect((await drop({ stepId }, demo, 'viewer')).code).toBe('FORBIDDEN')
  for (const caller of [STAFF, SERVICE]) {
    const text = 'mutation ($id: ID!) { deleteCampaignStep(input: { stepId: $id }) { campaign { id } } }'
    expect((await tier.ask(text, { id: stepId }, caller)).errors?.[0]?.extensions.code).toBe('FORBIDDEN')
  }
})
