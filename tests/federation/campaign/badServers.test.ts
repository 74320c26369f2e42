import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import pg from 'pg'
import { setClock } from '#platform/clock.ts'
import { parseConfig } from '#platform/config.ts'
import { buildSandbox } from '../../../cli/sandbox/app.ts'
import { sandboxConfig } from '../../../cli/sandbox/config.ts'
import { eventually } from '../../support/eventually.ts'
import { findFreePort } from '../../support/freePort.ts'
import { START_TIMEOUT_MS, startPlatform, type TestPlatform } from '../../support/graph.ts'
import { type CampaignTenant, foundCampaignTenant } from './campaignTenant.ts'
import { type Receiver, startReceiver } from './receiver.ts'

const LAUNCH = 'mutation ($id: ID!) { launchCampaign(input: { id: $id }) { campaign { status } } }'
const PASSWORD = 'correct horse battery staple'

let platform: TestPlatform
let sandbox: ReturnType<typeof buildSandbox>
let strict: Receiver
let oltp: pg.Client

beforeAll(async () => {
  // Mail that has not left within four days is given up: on this clock that is longer than these tests may take.
  setClock({ speed: 1_000, originAt: Date.now() })
  platform = await startPlatform()
  const { worker, sandbox: settings } = platform.settings
  // Soon enough for those that hang, and longer than a busy machine stands still.
  Object.assign(worker, { SMTP_SILENCE_MS: '4000' })
  sandbox = buildSandbox(
    parseConfig(sandboxConfig, { ...settings, SANDBOX_GREYLIST_RATE: '0', SANDBOX_REFUSE_RATE: '0' }),
  )
  await sandbox.app.listen({ host: '127.0.0.1', port: Number(settings.SANDBOX_PORT) })
  strict = await startReceiver({ accounts: { 'sender0@d0.rival.example': PASSWORD } })
  oltp = new pg.Client(platform.databases.oltp.systemUrl)
  await oltp.connect()
  await platform.startWorker()
}, START_TIMEOUT_MS)
afterAll(async () => {
  setClock({ speed: 1, originAt: 0 })
  await oltp?.end()
  await sandbox?.close()
  await strict?.close()
  await platform?.stop()
})

type Mail = {
  lead: string
  status: string
  reason: string | null
  attempts: number
  response: string | null
  enrollment: string
}
const mailsOf = async ({ tenantId }: CampaignTenant): Promise<Record<string, Mail>> => {
  const { rows } = await oltp.query<Mail>(
    `SELECT split_part(r.to_email, '@', 1) AS lead, r.status, r.failure_reason AS reason, r.send_attempts AS attempts,
       r.smtp_response AS response, e.status AS enrollment
     FROM inbox_message_refs r JOIN campaign_enrollments e ON e.tenant_id = r.tenant_id AND e.id = r.enrollment_id
     WHERE r.tenant_id = $1 AND r.direction = 'outbound'`,
    [tenantId],
  )
  return Object.fromEntries(rows.map((mail) => [mail.lead, mail]))
}

test('servers that refuse, put off, hang, hang up and say nothing spoil their own mail alone', async () => {
  const words = ['deliver', 'refuse', 'greylist', 'defer', 'hang', 'hangdata', 'dropdata', 'dropaccepted', 'rejectdata']
  const demo = await foundCampaignTenant(platform.tierClient('oltp'), {
    smtpPort: Number(platform.settings.sandbox.SANDBOX_SMTP_PORT),
    leadEmails: words.map((word) => `${word}@customers.example`),
    mailboxes: 3,
  })
  // One that nobody answers for at all.
  await oltp.query(
    `UPDATE email_accounts SET smtp_settings = jsonb_build_object('host', '127.0.0.1', 'port', $2::int) WHERE id = $1`,
    [demo.mailboxes[2]?.id, await findFreePort()],
  )
  expect((await platform.ask(LAUNCH, { id: demo.campaignId })).errors).toBeUndefined()
  // Those of the dead mailbox come back to life in the midst of it.
  await eventually(
    () => mailsOf(demo),
    (mails) => Object.values(mails).some(({ response }) => /ECONNREFUSED/.test(response ?? '')),
    60_000,
  )
  await oltp.query(
    'UPDATE email_accounts SET smtp_settings = (SELECT smtp_settings FROM email_accounts WHERE id = $2) WHERE id = $1',
    [demo.mailboxes[2]?.id, demo.mailboxes[0]?.id],
  )
  const settled = (mails: Record<string, Mail>) =>
    words.every((word) => {
      const mail = mails[word]
      if (word === 'defer' || word === 'hang') return (mail?.attempts ?? 0) >= 2
      return mail && !['queued', 'sending'].includes(mail.status)
    })
  const mails = await eventually(() => mailsOf(demo), settled, 120_000)
  expect(mails.deliver).toMatchObject({ status: expect.stringMatching(/^sent|delivered$/), enrollment: 'completed' })
  expect(mails.refuse).toMatchObject({
    status: 'bounced',
    enrollment: 'bounced',
    response: expect.stringContaining('5.1.1'),
  })
  expect(mails.greylist).toMatchObject({ status: expect.stringMatching(/^sent|delivered$/) })
  expect(mails.greylist?.attempts).toBeGreaterThanOrEqual(2)
  expect(mails.defer).toMatchObject({ enrollment: 'active', response: expect.stringContaining('4.2.1') })
  expect(mails.hang).toMatchObject({ enrollment: 'active', response: expect.stringContaining('Timeout') })
  for (const word of ['hangdata', 'dropdata', 'dropaccepted']) {
    expect(mails[word]).toMatchObject({ status: 'failed', reason: 'outcome_unknown', enrollment: 'completed' })
  }
  expect(mails.rejectdata).toMatchObject({
    status: 'failed',
    reason: expect.stringContaining('5.7.1'),
    enrollment: 'stopped',
  })
  for (const word of ['hangdata', 'dropdata', 'dropaccepted', 'deliver', 'greylist']) {
    const address = `${word}@customers.example`
    expect(sandbox.ledger.read(address).recipients[address]?.repeats ?? 0).toBe(0)
  }
  await oltp.query(`UPDATE campaigns SET status = 'cancelled' WHERE id = $1`, [demo.campaignId])
}, 240_000)

test('a password comes from the vault; a wrong one disconnects the mailbox, and the right one sends what waited', async () => {
  const rival = await foundCampaignTenant(platform.tierClient('oltp'), {
    ...{ tenant: 'rival', smtpPort: strict.port, leads: 3, mailboxes: 1 },
  })
  const [mailbox] = rival.mailboxes
  const vault = String(platform.settings.worker.VAULT).replace(/^file:/, '')
  const setPassword = (password: string) => {
    mkdirSync(path.join(vault, 'mailboxes'), { recursive: true })
    writeFileSync(path.join(vault, 'mailboxes/rival'), `${password}\n`)
  }
  setPassword('tr0ub4dor')
  await oltp.query(`UPDATE email_accounts SET vault_key_path = 'mailboxes/rival' WHERE id = $1`, [mailbox?.id])
  const { RIVAL } = await import('../../support/graph.ts')
  expect((await platform.ask(LAUNCH, { id: rival.campaignId }, RIVAL)).errors).toBeUndefined()
  const mailboxStatus = async () =>
    (await oltp.query('SELECT status, paused_reason FROM email_accounts WHERE id = $1', [mailbox?.id])).rows[0]
  const disconnected = await eventually(mailboxStatus, ({ status }) => status === 'disconnected', 60_000)
  expect(disconnected.paused_reason).toContain('535')
  expect(disconnected.paused_reason).not.toContain('tr0ub4dor')
  expect(strict.taken).toEqual([])

  // Attempts that are under way with the wrong one would disconnect it again.
  const waiting = async () =>
    (
      await oltp.query(
        `SELECT count(*)::int AS mails FROM inbox_message_refs WHERE tenant_id = $1 AND queued_at IS NULL`,
        [rival.tenantId],
      )
    ).rows[0].mails
  await eventually(waiting, (mails) => mails === 3, 60_000)
  setPassword(PASSWORD)
  await oltp.query(`UPDATE email_accounts SET status = 'active', paused_reason = NULL WHERE id = $1`, [mailbox?.id])
  await oltp.query('UPDATE campaign_agenda SET next_plan_at = now() WHERE campaign_id = $1', [rival.campaignId])
  await platform.tierClient('oltp').request('mutation { announceDuePlans }')
  await eventually(
    async () => strict.taken.length,
    (taken) => taken === 3,
    60_000,
  )
}, 240_000)
