import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { auditedActs, makeAsk } from './asking.ts'
import { foundLaunchable } from './launchable.ts'
import { type OltpTier, SERVICE, STAFF, startOltpTier } from './oltpTier.ts'
import type { Workspace } from './workspace.ts'

let tier: OltpTier
let demo: Workspace
let rival: Workspace

beforeAll(async () => {
  tier = await startOltpTier({ content: true })
  demo = await foundVerified()
  rival = await foundVerified()
}, 60_000)
afterAll(() => tier?.stop())

const ask = makeAsk(
  () => tier,
  () => demo,
)
const SEND = `mutation ($input: SendTestInput!) { sendTest(input: $input) { message {
  id direction status fromEmail toEmail subject campaign { id } lead { id } step { id } emailAccount { id }
  contentStorageKey } } }`
const send = (input: object, workspace?: Workspace, role?: string) => ask(SEND, { input }, workspace, role)

async function foundVerified(): Promise<Workspace> {
  const workspace = await foundLaunchable(tier)
  await tier.db.system.user.update({ where: { id: workspace.userId }, data: { emailVerifiedAt: new Date() } })
  return workspace
}

const messagesOf = ({ tenantId }: Workspace) => tier.db.system.inboxMessageRef.count({ where: { tenantId } })

test('what a step sends goes to the asker, queued like any mail, and counts for no campaign and no lead', async () => {
  const workspace = await foundVerified()
  const { stepId, mailboxId, leadId } = workspace
  const { value } = await send({ stepId, leadId }, workspace)
  expect(value.message).toEqual({
    id: expect.any(String),
    ...{ direction: 'OUTBOUND', status: 'QUEUED', campaign: null, lead: null, step: null },
    ...{ fromEmail: `sales@${workspace.domain}`, toEmail: `ada@${workspace.domain}` },
    subject: '[Test] Hi Lee',
    emailAccount: { id: mailboxId },
    contentStorageKey: expect.stringMatching(/^mail\//),
  })
  const events = await tier.announced(workspace.tenantId)
  const due = events.filter(({ eventType }) => eventType === 'mail.due')
  expect(due.map(({ payload }) => payload)).toEqual([
    expect.objectContaining({ messageId: value.message.id, campaignId: null, emailAccountId: mailboxId }),
  ])
  const [act] = await auditedActs(tier, workspace, 'InboxMessageRef')
  expect(act).toMatchObject({ action: 'message.sendTest', newValues: { stepId, templateId: null } })
  expect(await tier.db.system.campaignEnrollment.findFirst({ where: { tenantId: workspace.tenantId } })).toMatchObject({
    ...{ currentStepOrder: 0, version: 1 },
  })
})

test('a template is filled in with the asker and with samples when no lead is named', async () => {
  const { tenantId, templateId } = demo
  const data = { subject: 'For {{ lead.name }}', bodyText: '{{ lead.custom.city }} {{ lead.email }}' }
  await tier.db.system.template.updateMany({ where: { tenantId }, data })
  expect((await send({ templateId })).value.message.subject).toBe('[Test] For Ada')
  const failed = await send({ templateId, leadId: demo.leadId })
  expect(failed).toMatchObject({ code: 'INVALID_INPUT', extensions: { variable: 'lead.custom.city' } })
})

test('the same key sends one; with another input it is a conflict', async () => {
  const { templateId } = demo
  const before = await messagesOf(demo)
  const input = { templateId, idempotencyKey: 'test mail' }
  const answers = await Promise.all([send(input), send(input), send(input)])
  expect(new Set(answers.map(({ value }) => value.message.id)).size).toBe(1)
  expect(await messagesOf(demo)).toBe(before + 1)
  expect((await send({ ...input, leadId: demo.leadId })).code).toBe('CONFLICT')
})

test('it goes to nobody whose address is not verified, and from no mailbox that can not send', async () => {
  const workspace = await foundVerified()
  const { tenantId, userId, templateId, stepId, pausedMailboxId } = workspace
  const before = await messagesOf(workspace)
  expect((await send({ templateId, emailAccountId: pausedMailboxId }, workspace)).code).toBe('CONFLICT')
  await tier.db.system.user.update({ where: { id: userId }, data: { emailVerifiedAt: null } })
  expect((await send({ templateId }, workspace)).code).toBe('CONFLICT')
  await tier.db.system.user.update({ where: { id: userId }, data: { emailVerifiedAt: new Date() } })
  await tier.db.system.emailAccount.updateMany({ where: { tenantId }, data: { status: 'suspended' } })
  expect((await send({ templateId }, workspace)).code).toBe('CONFLICT')
  expect((await send({ stepId }, workspace)).code).toBe('CONFLICT')
  expect((await send({ templateId, stepId }, workspace)).code).toBe('INVALID_INPUT')
  expect((await send({}, workspace)).code).toBe('INVALID_INPUT')
  expect(await messagesOf(workspace)).toBe(before)
})

test("another tenant's step, template, lead or mailbox is not found, like one that does not exist", async () => {
  const { templateId } = demo
  const absent = '01930000-0000-7000-8000-00000000dead'
  const pairs = [
    [{ stepId: rival.stepId }, { stepId: absent }],
    [{ templateId: rival.templateId }, { templateId: absent }],
    [
      { templateId, leadId: rival.leadId },
      { templateId, leadId: absent },
    ],
    [
      { templateId, emailAccountId: rival.mailboxId },
      { templateId, emailAccountId: absent },
    ],
  ]
  for (const [theirs = {}, nobodys = {}] of pairs) {
    const told = await send(theirs)
    expect(told.code).toBe('NOT_FOUND')
    expect(told).toEqual(await send(nobodys))
  }
  expect(await messagesOf(rival)).toBe(0)
})

test('viewers, staff and services send none', async () => {
  expect((await send({ templateId: demo.templateId }, demo, 'viewer')).code).toBe('FORBIDDEN')
  for (const caller of [STAFF, SERVICE]) {
    const answer = await tier.ask(SEND, { input: { templateId: demo.templateId } }, caller)
    expect(answer.errors?.[0]?.extensions.code).toBe('FORBIDDEN')
  }
})

// Ends the content tier: keep it last.
test('while the content tier is away nothing is sent, and nothing half-written', async () => {
  const before = await messagesOf(demo)
  await tier.stopContent()
  const input = { templateId: demo.templateId, idempotencyKey: 'away' }
  expect((await send(input)).code).toBe('UNAVAILABLE')
  expect(await messagesOf(demo)).toBe(before)
})
