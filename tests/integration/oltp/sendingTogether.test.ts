import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals'
import { setClock } from '#platform/clock.ts'
import { makeBounce, makeMail } from '../../support/mails.ts'
import { makeAsk } from './asking.ts'
import { ingest } from './inboxMails.ts'
import { type OltpTier, startOltpTier } from './oltpTier.ts'
import {
  begin,
  budgetsOf,
  enrollmentsOf,
  finish,
  launch,
  mailsOf,
  makeSendingWorld,
  openWindows,
  planAll,
  type SendingWorld,
  setNow,
} from './sendingWorld.ts'

let tier: OltpTier
beforeAll(async () => {
  tier = await startOltpTier({ content: true, poolSize: 20 })
})
afterAll(() => tier?.stop())
afterEach(() => setClock({ speed: 1, originAt: 0 }))

const MONDAY = Date.parse('2026-11-23T09:00:00.000Z')
const ask = makeAsk(
  () => tier,
  () => {
    throw new Error('name a workspace')
  },
)

const ROUNDS = 24
const LEADS = 60

type Mail = Awaited<ReturnType<typeof mailsOf>>[number]

/** How many transactions PostgreSQL has undone because they waited for each other. */
async function deadlocks(): Promise<number> {
  // What a connection has counted is told when it has been idle for a moment.
  await new Promise((resolve) => setTimeout(resolve, 1_500))
  const { rows } = await tier.db.systemSql.query(
    'SELECT deadlocks::int AS count FROM pg_stat_database WHERE datname = current_database()',
  )
  return rows[0].count
}

test('planner, workers, mail that comes in and people at once wait for each other in one order: nobody deadlocks', async () => {
  setNow(new Date(MONDAY))
  const world = await makeSendingWorld(tier, {
    ...{ leads: LEADS, mailboxes: 3, domains: 2, dailyLimit: 500, addressLimit: 10_000 },
    steps: [{}, {}, {}, {}],
  })
  const rival = await makeSendingWorld(tier, { leads: 1 })
  await launch(tier, world, new Date(MONDAY))
  const failures: unknown[] = []
  const note = async (work: Promise<unknown>) => {
    try {
      await work
    } catch (error) {
      failures.push(error)
    }
  }
  for (let round = 0; round < ROUNDS; round += 1) {
    const at = new Date(MONDAY + round * 20 * 60_000)
    setNow(at)
    // What brakes have stopped goes on: here it is about who waits for whom.
    await tier.db.systemSql.query("UPDATE email_accounts SET status = 'active' WHERE tenant_id = $1", [world.tenantId])
    await tier.db.systemSql.query(
      "UPDATE campaigns SET status = 'sending' WHERE tenant_id = $1 AND status = 'paused'",
      [world.tenantId],
    )
    const mails = await mailsOf(tier, world.tenantId)
    const due = mails.filter(({ status, scheduledAt }) => status === 'queued' && scheduledAt && scheduledAt <= at)
    const left = mails.filter(({ status }) => status === 'sent')
    const pick = (from: number, count: number) =>
      left.slice((round * 5 + from) % Math.max(1, left.length)).slice(0, count)
    await Promise.all([
      note(planAll(tier, world)),
      note(planAll(tier, world)),
      ...inParts(due, 12).map((part, index) => note(sendPart(world, part, index % 3))),
      // The same mails in another call, in another order.
      note(sendPart(world, [...due].reverse(), 3)),
      ...pick(0, 2).map((mail) => note(ingest(tier, world, bounceOf(mail)))),
      ...pick(2, 2).map((mail) => note(ingest(tier, world, answerOf(mail)))),
      note(people(world, round)),
    ])
  }
  const unexpected = failures.filter((failure) => !/is (paused|sending|completed)/.test(String(failure)))
  expect(unexpected).toEqual([])
  expect(await deadlocks()).toBe(0)

  const mails = await mailsOf(tier, world.tenantId)
  expect(mails.filter(({ sentAt }) => sentAt).length).toBeGreaterThan(LEADS / 3)
  const once = mails.filter(({ enrollmentId }) => enrollmentId).map((mail) => `${mail.enrollmentId} ${mail.stepId}`)
  expect(new Set(once).size).toBe(once.length)
  // What is promised is what is queued, on its way, or has left.
  const promised = mails.filter(({ status, sentAt }) => ['queued', 'sending'].includes(status) || sentAt)
  const campaign = (await budgetsOf(tier, world.tenantId)).filter(({ scope }) => scope === 'campaign')
  expect(campaign.reduce((sum, { reserved }) => sum + reserved, 0)).toBe(promised.length)
  expect((await enrollmentsOf(tier, rival.tenantId)).map(({ version }) => version)).toEqual([1])
}, 240_000)

function inParts(mails: Mail[], size: number): Mail[][] {
  return Array.from({ length: Math.ceil(mails.length / size) }, (_, index) =>
    mails.slice(index * size, (index + 1) * size),
  )
}

/** One worker's turn; of several outcomes in one call. */
async function sendPart(world: SendingWorld, part: Mail[], turn: number): Promise<void> {
  const begun = (
    await begin(
      tier,
      world.tenantId,
      part.map(({ id }) => id),
    )
  ).filter(({ outcome }) => outcome === 'SEND')
  await openWindows(tier, begun)
  const refused = turn === 0 ? begun.slice(0, 1) : []
  const put = turn === 1 ? begun.slice(0, 1) : []
  const sent = begun.filter((one) => !refused.includes(one) && !put.includes(one))
  await Promise.all([
    sent.length > 0 && finish(tier, sent.reverse()),
    refused.length > 0 && finish(tier, refused, 'MAILBOX_UNKNOWN', '550 5.1.1 no'),
    put.length > 0 && finish(tier, put, 'DEFERRED', '451 later'),
  ])
}

function bounceOf(mail: Mail): string {
  return makeBounce({ original: mail.rfc822MessageId as string, recipient: mail.toEmail as string, status: '5.1.1' })
}

function answerOf(mail: Mail): string {
  return makeMail({
    headers: {
      ...{ From: mail.toEmail as string, To: mail.fromEmail as string, Subject: 'Re: Hi' },
      'In-Reply-To': `<${mail.rfc822MessageId}>`,
    },
  })
}

/** What people do meanwhile: leads leave, and one is deleted; the campaign pauses and goes on. */
async function people(world: SendingWorld, round: number): Promise<void> {
  const leadId = world.leadIds[LEADS - 1 - round]
  const unsubscribe = 'mutation ($input: UnsubscribeLeadInput!) { unsubscribeLead(input: $input) { lead { id } } }'
  const remove = 'mutation ($input: DeleteLeadInput!) { deleteLead(input: $input) { id } }'
  const { code } = await ask(round % 3 === 0 ? remove : unsubscribe, { input: { leadId } }, world, 'owner')
  expect(code).toBeUndefined()
  if (round % 4 !== 0) return
  const pause = 'mutation ($input: CampaignActionInput!) { pauseCampaign(input: $input) { campaign { id } } }'
  await ask(pause, { input: { id: world.campaignId } }, world, 'owner')
}
