import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import pg from 'pg'
import { setClock } from '#platform/clock.ts'
import { parseConfig } from '#platform/config.ts'
import { buildSandbox } from '../../../cli/sandbox/app.ts'
import { sandboxConfig } from '../../../cli/sandbox/config.ts'
import { eventually } from '../../support/eventually.ts'
import { START_TIMEOUT_MS, startPlatform, type TestPlatform } from '../../support/graph.ts'
import { type CampaignTenant, foundCampaignTenant } from './campaignTenant.ts'

/** Leads, of whom every fiftieth must not be written to. `CAMPAIGN_LEADS=10000` for the long form. */
const LEADS = Number(process.env.CAMPAIGN_LEADS ?? 1_000)
const MAILBOXES = Math.ceil(LEADS / 50)
const DAILY_LIMIT = 60
const DAILY_CAP = LEADS + 100
/** A thousand leads have a day in forty seconds: every mail has to leave on the day it was planned for. */
const SPEED = Number(process.env.CAMPAIGN_SPEED ?? 2_160_000 / Math.max(LEADS, 500))
/** Some five days, and twice as long again where the machine is busy; real milliseconds. */
const LONGEST_MS = (15 * 86_400_000) / SPEED
/**
 * Who answers while the next mail is already on the wire is not mailed after answering; real milliseconds. An answer takes
 * effect when it is written, on a busy machine some time after it came; mails of a lead are ten times as far apart.
 */
const MOMENT_MS = 2_000
const SEED = 'a campaign of three steps'

let platform: TestPlatform
let sandbox: ReturnType<typeof buildSandbox>
let door: { app: { listen(options: { host: string; port: number }): Promise<unknown> }; close(): Promise<void> }
let demo: CampaignTenant
let oltp: pg.Client
let queue: pg.Client
/** How often a mailbox was stopped by its brake. */
let stops = 0
let suppressed: Set<string>

beforeAll(async () => {
  setClock({ speed: SPEED, originAt: Date.now() })
  platform = await startPlatform({ worker: true })
  const { settings } = platform
  const { buildSmtpDoor } = await import('../../../subgraphs/oltp/smtpDoor/app.ts')
  const { smtpDoorConfig } = await import('../../../subgraphs/oltp/smtpDoor/config.ts')
  door = buildSmtpDoor(parseConfig(smtpDoorConfig, settings.smtpDoor))
  await door.app.listen({ host: '127.0.0.1', port: Number(settings.smtpDoor.SMTP_DOOR_PORT) })
  // Rarely enough for the campaign's brake not to be pulled, nor most mailboxes'.
  const rates = { REFUSE: 0.002, HARD_BOUNCE: 0.003, SOFT_BOUNCE: 0.003, COMPLAINT: 0, GREYLIST: 0.02 }
  sandbox = buildSandbox(
    parseConfig(sandboxConfig, {
      ...settings.sandbox,
      SANDBOX_SEED: SEED,
      ...Object.fromEntries(Object.entries(rates).map(([name, rate]) => [`SANDBOX_${name}_RATE`, String(rate)])),
    }),
  )
  await sandbox.app.listen({ host: '127.0.0.1', port: Number(settings.sandbox.SANDBOX_PORT) })

  demo = await foundCampaignTenant(platform.tierClient('oltp'), {
    ...{ smtpPort: Number(settings.sandbox.SANDBOX_SMTP_PORT), leads: LEADS, mailboxes: MAILBOXES, domains: 4 },
    ...{ dailyLimit: DAILY_LIMIT, dailyCap: DAILY_CAP },
    steps: [{}, { waitHours: 12, condition: 'IF_NOT_CLICKED' }, { stepType: 'WAIT', waitHours: 10 }, { waitHours: 2 }],
  })
  oltp = new pg.Client(platform.databases.oltp.systemUrl)
  queue = new pg.Client(platform.databases.queue.systemUrl)
  await Promise.all([oltp.connect(), queue.connect()])
  suppressed = new Set(demo.leads.filter((_, index) => index % 50 === 7).map(({ email }) => email))
  await oltp.query(
    `INSERT INTO suppressions (tenant_id, id, email, reason) SELECT $1, gen_random_uuid(), unnest($2::text[]), 'manual'`,
    [demo.tenantId, [...suppressed]],
  )
}, START_TIMEOUT_MS)

afterAll(async () => {
  await sandbox?.close()
  await Promise.all([oltp?.end(), queue?.end()])
  await door?.close()
  await platform?.stop()
  setClock({ speed: 1, originAt: 0 })
})

/**
 * Does what an owner does who looks in often: has a mailbox write again that its brake has stopped. Two of thirty mails
 * back are enough for that, so by chance it happens to some, and their leads would wait for somebody to come.
 */
async function reactivateStopped(): Promise<void> {
  const { rows } = await oltp.query<{ id: string; reason: string }>(
    "SELECT id, paused_reason AS reason FROM email_accounts WHERE tenant_id = $1 AND status <> 'active'",
    [demo.tenantId],
  )
  for (const { id, reason } of rows) {
    expect(reason).toMatch(/^\d+ of \d+ mails bounced in the last 24 hours /)
    const reactivate = `mutation ($input: ReactivateEmailAccountInput!) {
      reactivateEmailAccount(input: $input) { emailAccount { status } } }`
    const { data } = await platform.ask(reactivate, { input: { emailAccountId: id, note: 'looked at it' } })
    expect(data.reactivateEmailAccount).toEqual({ emailAccount: { status: 'ACTIVE' } })
    stops += 1
  }
}

const all = async <Row extends object>(client: pg.Client, sql: string) =>
  (await client.query<Row>(sql, [demo.tenantId, demo.campaignId])).rows

test(
  'a campaign of three mails runs to its end in a world that answers',
  async () => {
    const launch = 'mutation ($id: ID!) { launchCampaign(input: { id: $id }) { campaign { status } } }'
    expect((await platform.ask(launch, { id: demo.campaignId })).errors).toBeUndefined()
    const status = async () => {
      await reactivateStopped()
      const ask = 'query ($id: ID!) { campaign(id: $id) { status pausedReason } }'
      return (await platform.ask(ask, { id: demo.campaignId })).data.campaign
    }
    const end = await eventually(status, (campaign) => !['SENDING', 'SCHEDULED'].includes(campaign.status), LONGEST_MS)
    expect(end).toEqual({ status: 'COMPLETED', pausedReason: null })
    // What people do with the last mails, they do within two days.
    await eventually(
      async () => sandbox.agenda.pending,
      (pending) => pending === 0,
      LONGEST_MS,
    )
    // Who left was told so when the queue knew it; what that means is recorded after that.
    const untold = "SELECT FROM jobs WHERE job_type = 'recordTracking' AND status = 'queued'"
    await eventually(
      async () => (await queue.query(untold)).rowCount,
      (hits) => hits === 0,
      120_000,
    )
    await platform.settle(120_000)
  },
  2 * LONGEST_MS + 300_000,
)

describe('afterwards', () => {
  type Lead = {
    email: string
    status: string
    reason: string | null
    mails: {
      step: string
      status: string
      reason: string | null
      sent: string | null
      given: string | null
      bounced: string | null
      replied: string | null
      left: string | null
    }[]
  }
  const leads = () =>
    all<Lead>(
      oltp,
      `SELECT l.email, e.status, e.stop_reason AS reason, coalesce(
         (SELECT jsonb_agg(jsonb_build_object('step', r.step_id, 'status', r.status, 'reason', r.failure_reason,
            'sent', r.sent_at, 'given', r.accept_window_at, 'bounced', CASE r.bounce_type WHEN 'hard' THEN r.bounced_at END, 'replied', r.replied_at, 'left', r.unsubscribed_at) ORDER BY r.id)
          FROM inbox_message_refs r WHERE r.tenant_id = $1 AND r.enrollment_id = e.id), '[]') AS mails
       FROM campaign_enrollments e JOIN leads l ON l.tenant_id = e.tenant_id AND l.id = e.lead_id
       WHERE e.tenant_id = $1 AND e.campaign_id = $2`,
    )

  test("every lead's end is explained by what happened to it", async () => {
    const unexplained = (await leads()).filter(({ email, status, reason, mails }) => {
      const has = (key: 'replied' | 'left' | 'bounced') => mails.some((mail) => mail[key] !== null)
      return !(
        (status === 'stopped' && reason === 'suppressed' && suppressed.has(email) && mails.length === 0) ||
        (status === 'replied' && has('replied')) ||
        (status === 'unsubscribed' && has('left')) ||
        (status === 'bounced' && has('bounced')) ||
        // To its end: all three mails, or those whose conditions held.
        (status === 'completed' && mails.some(({ step, sent }) => sent !== null && step === demo.stepIds[3]))
      )
    })
    expect(unexplained).toEqual([])
  })

  test('nobody got a step twice, or a mail after answering, leaving or bouncing for good; nothing went to whom it must not', async () => {
    for (const { email, mails } of await leads()) {
      const sent = mails.filter((mail) => mail.sent !== null)
      expect(new Set(sent.map(({ step }) => step)).size).toBe(sent.length)
      const ends = mails.flatMap(({ replied, left, bounced }) => [replied, left, bounced].filter((at) => at !== null))
      for (const end of ends) {
        for (const { given } of sent) {
          const lateMs = Date.parse(given ?? '') - Date.parse(end)
          expect({ email, isLate: lateMs > MOMENT_MS * SPEED }).toEqual({ email, isLate: false })
        }
      }
      expect(sandbox.ledger.read(email).recipients[email]?.repeats ?? 0).toBe(0)
    }
    for (const email of suppressed) expect(sandbox.ledger.read(email).recipients[email]).toBeUndefined()
  })

  test('no cap was passed on any day', async () => {
    // By when it began to leave: by this clock the conversation with the other server takes an hour.
    type Day = { mailbox: string; day: string; mails: number }
    const days = await all<Day>(
      oltp,
      `SELECT email_account_id AS mailbox, (sending_started_at AT TIME ZONE 'UTC')::date::text AS day, count(*)::int AS mails
       FROM inbox_message_refs WHERE tenant_id = $1 AND campaign_id = $2 AND sent_at IS NOT NULL GROUP BY 1, 2`,
    )
    expect(Math.max(...days.map(({ mails }) => mails))).toBeLessThanOrEqual(DAILY_LIMIT)
    const perDay = new Map<string, number>()
    for (const { day, mails } of days) perDay.set(day, (perDay.get(day) ?? 0) + mails)
    for (const mails of perDay.values()) expect(mails).toBeLessThanOrEqual(DAILY_CAP)
    // They did bind: the leads' first and second mails are more than one day takes.
    expect(perDay.size).toBeGreaterThan(1)
    const over = await all(
      oltp,
      'SELECT * FROM sending_budgets WHERE tenant_id = $1 AND $2::uuid IS NOT NULL AND sent > reserved',
    )
    expect(over).toEqual([])
  })

  test('oltp, queue, analytics and the world agree to the unit', async () => {
    type Sums = { sent: number; replied: number; bounced: number; unsubscribed: number; clicked: number }
    const [own] = await all<Sums>(
      oltp,
      `SELECT count(sent_at)::int AS sent, count(replied_at)::int AS replied, count(bounced_at)::int AS bounced,
         count(unsubscribed_at)::int AS unsubscribed, count(clicked_at)::int AS clicked
       FROM inbox_message_refs WHERE tenant_id = $1 AND campaign_id = $2 AND direction = 'outbound'`,
    )
    const counted = 'analytics { sent replied bounced unsubscribed }'
    const facts = `query ($id: ID!) {
      campaign(id: $id) { sendProgress { queued sending sent } ${counted} } leadStats { total ${counted} } }`
    const sums = { sent: own?.sent, replied: own?.replied, bounced: own?.bounced, unsubscribed: own?.unsubscribed }
    const { campaign, leadStats } = (await platform.ask(facts, { id: demo.campaignId })).data
    expect(campaign.analytics).toEqual(sums)
    expect(leadStats).toEqual({ total: LEADS, analytics: sums })
    expect(campaign.sendProgress).toEqual({ queued: 0, sending: 0, sent: own?.sent })
    const jobs = await all<{ mails: number }>(
      queue,
      `SELECT count(DISTINCT subject_id)::int AS mails FROM jobs WHERE tenant_id = $1 AND campaign_id = $2
         AND job_type = 'sendMessage' AND result ->> 'outcome' = 'sent'`,
    )
    expect(jobs).toEqual([{ mails: own?.sent }])
    const { total } = sandbox.ledger.read()
    expect(total.mails).toBe(own?.sent)
    expect(total.repeats).toBe(0)
    process.stderr.write(`${LEADS} leads: ${JSON.stringify({ ...own, stops })}\n`)
  })
})
