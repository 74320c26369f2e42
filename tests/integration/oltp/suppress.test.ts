import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { v7 as uuidv7 } from 'uuid'
import { runAsTenant } from '#platform/database/tenantScope.ts'
import { type Suppressing, suppress } from '../../../subgraphs/oltp/services/leads/suppressions.ts'
import { transact } from '../../../subgraphs/oltp/services/sending/transact.ts'
import { type OltpTier, startOltpTier } from './oltpTier.ts'
import { foundTenant, type Workspace } from './workspace.ts'

const AT = new Date('2026-11-25T10:00:00Z')

let tier: OltpTier
let rival: Workspace

beforeAll(async () => {
  tier = await startOltpTier()
  rival = await foundTenant(tier)
  await queueMail(rival)
})
afterAll(() => tier?.stop())

function suppressIn({ tenantId }: Workspace, targets: Suppressing[]) {
  return runAsTenant(tenantId, () => transact({ db: tier.db, requestId: 'test' }, (tx) => suppress(tx, targets)))
}

/** A mail of the workspace's campaign to its lead that has not left, and one that has. */
async function queueMail({ tenantId, mailboxId, campaignId, leadId }: Workspace): Promise<string> {
  const row = (status: string) => {
    const id = uuidv7()
    const names = { tenantId, id, emailAccountId: mailboxId, campaignId, leadId, threadId: id, dedupKey: id }
    return { ...names, direction: 'outbound', status }
  }
  const [queued, sent] = [row('queued'), row('sent')]
  await tier.db.system.inboxMessageRef.createMany({ data: [queued, sent] })
  return queued.id
}

async function stateOf({ tenantId, leadId, enrollmentId }: Workspace) {
  const key = (id: string) => ({ where: { tenantId_id: { tenantId, id } } })
  const { system } = tier.db
  const lead = await system.lead.findUniqueOrThrow(key(leadId))
  const enrollment = await system.campaignEnrollment.findUniqueOrThrow(key(enrollmentId))
  const messages = await system.inboxMessageRef.findMany({ where: { tenantId }, orderBy: { id: 'asc' } })
  return {
    lead: lead.status,
    unsubscribedAt: lead.unsubscribedAt,
    enrollment: enrollment.status,
    stopReason: enrollment.stopReason,
    messages: messages.map(({ status, failureReason }) => [status, failureReason]),
    suppressions: await system.suppression.count({ where: { tenantId } }),
  }
}

const emailOf = ({ slug }: Workspace) => `lead@customer-${slug}.example`

test('who unsubscribes is suppressed, leaves its campaigns, and gets no mail that was queued already; once', async () => {
  const demo = await foundTenant(tier)
  await queueMail(demo)
  const before = await stateOf(rival)
  const target = { email: emailOf(demo), reason: 'unsubscribe' as const, at: AT }
  const done = await suppressIn(demo, [target])
  expect(done).toEqual({ suppressionIds: [expect.any(String)], leadIds: [demo.leadId], stopped: 1, failed: 1 })
  const state = {
    lead: 'unsubscribed',
    unsubscribedAt: AT,
    enrollment: 'unsubscribed',
    stopReason: 'unsubscribed',
    messages: [
      ['failed', 'unsubscribed'],
      ['sent', null],
    ],
    suppressions: 1,
  }
  expect(await stateOf(demo)).toEqual(state)
  const again = await suppressIn(demo, [{ ...target, at: new Date('2026-11-26T10:00:00Z') }])
  expect(again).toEqual({ suppressionIds: [], leadIds: [demo.leadId], stopped: 0, failed: 0 })
  expect(await stateOf(demo)).toEqual(state)
  expect(await stateOf(rival)).toEqual(before)
})

test("another tenant's lead is a stranger: the address is suppressed here, nothing changes there", async () => {
  const demo = await foundTenant(tier)
  const before = await stateOf(rival)
  const done = await suppressIn(demo, [{ email: emailOf(rival), reason: 'bounce', at: AT }])
  expect(done).toEqual({ suppressionIds: [expect.any(String)], leadIds: [], stopped: 0, failed: 0 })
  expect(await stateOf(rival)).toEqual(before)
})

test('a bounce, a complaint and a person each leave their own word, and the graver reason of two wins', async () => {
  const cases = [
    [['bounce'], 'bounced', 'bounced', 'bounced'],
    [['complaint'], 'unsubscribed', 'unsubscribed', 'complained'],
    [['manual'], 'new', 'stopped', 'suppressed'],
    [['bounce', 'unsubscribe'], 'unsubscribed', 'unsubscribed', 'unsubscribed'],
  ] as const
  for (const [reasons, lead, enrollment, stopReason] of cases) {
    const demo = await foundTenant(tier)
    await suppressIn(
      demo,
      reasons.map((reason) => ({ email: emailOf(demo), reason, at: AT })),
    )
    expect(await stateOf(demo)).toMatchObject({ lead, enrollment, stopReason, suppressions: 1 })
  }
})

test('a company that must not write leaves the campaigns of other companies alone', async () => {
  const demo = await foundTenant(tier)
  await queueMail(demo)
  const otherId = uuidv7()
  await tier.db.system.company.create({ data: { tenantId: demo.tenantId, id: otherId, name: 'Other' } })
  const target = { email: emailOf(demo), reason: 'unsubscribe' as const, at: AT }
  const elsewhere = await suppressIn(demo, [{ ...target, companyId: otherId }])
  expect(elsewhere).toMatchObject({ stopped: 0, failed: 0 })
  expect(await stateOf(demo)).toMatchObject({ lead: 'new', enrollment: 'active', suppressions: 1 })
  const here = await suppressIn(demo, [{ ...target, companyId: demo.companyId }])
  expect(here).toMatchObject({ stopped: 1, failed: 1 })
  expect(await stateOf(demo)).toMatchObject({ lead: 'new', enrollment: 'unsubscribed', suppressions: 2 })
})

test('a domain stands for everybody in it', async () => {
  const demo = await foundTenant(tier)
  await queueMail(demo)
  const done = await suppressIn(demo, [{ domain: `customer-${demo.slug}.example`, reason: 'manual', at: AT }])
  expect(done).toMatchObject({ leadIds: [demo.leadId], stopped: 1, failed: 1 })
  expect(await suppressIn(demo, [{ domain: `${demo.slug}.example`, reason: 'manual', at: AT }])).toMatchObject({
    leadIds: [],
  })
})

test('a thousand cost one statement', async () => {
  const demo = await foundTenant(tier)
  const targets = Array.from({ length: 1000 }, (_, n) => ({
    email: `n${n}@many.example`,
    reason: 'bounce' as const,
    at: AT,
  }))
  const { result, statements } = await tier.db.statements.during(() => suppressIn(demo, targets))
  expect(result.suppressionIds).toHaveLength(1000)
  expect(statements.filter((text) => /suppressions/.test(text))).toHaveLength(1)
})
