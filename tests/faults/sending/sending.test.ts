import { afterAll, beforeAll, expect, test } from '@jest/globals'
import pg from 'pg'
import { setClock } from '#platform/clock.ts'
import { type CampaignTenant, foundCampaignTenant } from '../../federation/campaign/campaignTenant.ts'
import { type Receiver, startReceiver } from '../../federation/campaign/receiver.ts'
import { eventually } from '../../support/eventually.ts'
import { START_TIMEOUT_MS, startPlatform, type TestPlatform } from '../../support/graph.ts'
import { WorkerProcess } from './workerProcess.ts'

/** How often the worker is killed; `SENDING_KILLS=50` for the long form. */
const KILLS = Number(process.env.SENDING_KILLS ?? 3)
const LEADS = KILLS * 8
/** Mail that has not left within four days of this clock is given up: the more kills, the slower it has to go. */
const SPEED = Math.min(1_000, 25_000 / KILLS)
/** Each kill costs the start of another worker. */
const LONGEST_MS = 120_000 + KILLS * 20_000
/** Where in a mail's way the worker is killed, in turn. */
const MOMENTS = ['recipient', 'text', 'answer'] as const

let platform: TestPlatform
let receiver: Receiver
let demo: CampaignTenant
let worker: WorkerProcess | undefined
let oltp: pg.Client
let mailsSinceKill = 0

/** Kills the worker at the moment that is next, every few mails. */
function reach(moment: (typeof MOMENTS)[number]): void {
  if (!worker || worker.kills >= KILLS || mailsSinceKill < 3 || MOMENTS[worker.kills % MOMENTS.length] !== moment)
    return
  mailsSinceKill = 0
  worker.kill()
}

beforeAll(async () => {
  const originAt = Date.now()
  setClock({ speed: SPEED, originAt })
  receiver = await startReceiver({
    onRecipient() {
      mailsSinceKill += 1
      reach('recipient')
      return null
    },
    async onText() {
      reach('text')
      await new Promise((resolve) => setTimeout(resolve, 5))
      setTimeout(() => reach('answer'), 1)
      return null
    },
  })
  platform = await startPlatform()
  oltp = new pg.Client(platform.databases.oltp.systemUrl)
  await oltp.connect()
  demo = await foundCampaignTenant(platform.tierClient('oltp'), {
    ...{ smtpPort: receiver.port, leads: LEADS, mailboxes: Math.max(4, LEADS / 20) },
    steps: [{}, { waitHours: 2 }],
  })
  worker = new WorkerProcess({
    ...platform.settings.worker,
    ...{ WORKER_LEASE_MS: '1000', WORKER_POLL_MS: '50', LOG_LEVEL: process.env.TEST_LOG_LEVEL ?? 'silent' },
    ...{ CLOCK_SPEED: String(SPEED), CLOCK_ORIGIN_AT: new Date(originAt).toISOString() },
  })
}, START_TIMEOUT_MS)

afterAll(async () => {
  setClock({ speed: 1, originAt: 0 })
  await worker?.stop()
  await oltp?.end()
  await platform?.stop()
  await receiver?.close()
})

type Fact = { lead: string; step: string; status: string; reason: string | null }
/** What nobody has sent back for long counts as delivered. */
const hasLeft = ({ status }: Fact) => status === 'sent' || status === 'delivered'
const FACTS = `
  SELECT l.email AS lead, r.step_id AS step, r.status, r.failure_reason AS reason
  FROM inbox_message_refs r JOIN leads l ON l.tenant_id = r.tenant_id AND l.id = r.lead_id
  WHERE r.tenant_id = $1 AND r.campaign_id = $2`

test(
  'kill -9 in the midst of a campaign sends no lead a step twice and forgets none',
  async () => {
    const launch = 'mutation ($id: ID!) { launchCampaign(input: { id: $id }) { campaign { status } } }'
    expect((await platform.ask(launch, { id: demo.campaignId })).errors).toBeUndefined()
    const settle = 'mutation { settleStuckMail(olderThanMs: 8000) }'
    const status = async () => {
      // A job that was killed three times is a dead letter: its mail is the sweep's, which comes sooner here than by its clock.
      await platform.tierClient('oltp').request(settle)
      return (await platform.ask('query ($id: ID!) { campaign(id: $id) { status } }', { id: demo.campaignId })).data
        .campaign.status
    }
    await eventually(status, (is) => is === 'COMPLETED', LONGEST_MS)
    expect(worker?.kills).toBe(KILLS)

    const { rows } = await oltp.query<Fact>(FACTS, [demo.tenantId, demo.campaignId])
    // Two steps for every lead, each accounted for.
    expect(rows).toHaveLength(2 * LEADS)
    const unknown = rows.filter(({ reason }) => reason === 'outcome_unknown')
    expect(rows.filter((row) => !hasLeft(row))).toEqual(unknown)

    const taken = new Map<string, number>()
    for (const { to, text } of receiver.taken) {
      // The second step's mail answers the first's.
      const key = `${to} ${/^in-reply-to:/im.test(text) ? 2 : 1}`
      taken.set(key, (taken.get(key) ?? 0) + 1)
    }
    expect([...taken].filter(([, times]) => times > 1)).toEqual([])
    const sent = rows.filter(hasLeft)
    for (const { lead, step } of sent) expect(taken.get(`${lead} ${demo.stepIds.indexOf(step) + 1}`)).toBe(1)
    // What came without being known is among what was reported.
    expect(receiver.taken.length - sent.length).toBeLessThanOrEqual(unknown.length)

    await platform.settle(60_000)
    const log = `{ auditLog(first: 100, filter: { action: "mail.outcomeUnknown" }) { nodes { resourceId } } }`
    // It is told by jobs of its own, which nothing above has waited for.
    await eventually(
      async () => (await platform.ask(log)).data.auditLog.nodes.length,
      (reported) => reported >= Math.min(100, unknown.length),
    )
    process.stderr.write(`${KILLS} kills: ${sent.length} mails sent, ${unknown.length} reported as unknown\n`)
  },
  LONGEST_MS + 120_000,
)
