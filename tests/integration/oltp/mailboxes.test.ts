import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { v7 as uuidv7 } from 'uuid'
import { imapSecretPath } from '#platform/contracts/mailServers.ts'
import { openVault, type Vault } from '#platform/vault.ts'
import { auditedActs, makeAsk } from './asking.ts'
import { foundLaunchable } from './launchable.ts'
import { type OltpTier, SERVICE, STAFF, startOltpTier } from './oltpTier.ts'
import type { Workspace } from './workspace.ts'

let tier: OltpTier
let strict: OltpTier
let vault: Vault
let demo: Workspace
let rival: Workspace

beforeAll(async () => {
  tier = await startOltpTier()
  strict = await startOltpTier({ allowsInsideServers: false })
  vault = openVault(`file:${tier.vaultFolder}`)
  demo = await foundLaunchable(tier)
  rival = await foundLaunchable(tier)
})
afterAll(async () => {
  await tier?.stop()
  await strict?.stop()
})

const ask = makeAsk(
  () => tier,
  () => demo,
  'manager',
)
const FIELDS = `emailAccount { id email displayName domain { id } provider status pausedReason dailyLimit warmupStatus
  warmupStartedAt smtp { host port secure user } imap { host port secure user } }`
const mutation = (name: string, selection = FIELDS) => {
  const type = `${name[0]?.toUpperCase()}${name.slice(1)}Input`
  const text = `mutation ($input: ${type}!) { ${name}(input: $input) { ${selection} } }`
  return (input: object, workspace?: Workspace, role?: string) => ask(text, { input }, workspace, role)
}
const create = mutation('createEmailAccount')
const update = mutation('updateEmailAccount')
const drop = mutation('deleteEmailAccount', 'id')
const pause = mutation('pauseEmailAccount')
const setDailyLimit = mutation('setDailyLimit')
const startWarmup = mutation('startWarmup')
const pauseWarmup = mutation('pauseWarmup')

const SMTP = { host: 'smtp.Mail.example.', port: 465, user: 'ada' }
const IMAP = { host: '192.0.2.7', port: 143, secure: false }

function rowOf(id: string) {
  return tier.db.system.emailAccount.findFirstOrThrow({ where: { id } })
}

/** Everything that stands in the database, but for the vault. */
async function everythingStored(): Promise<string> {
  const { rows } = await tier.db.systemSql.query(`
    SELECT (SELECT json_agg(a) FROM email_accounts a) AS accounts, (SELECT json_agg(o) FROM outbox_events o) AS events,
           (SELECT json_agg(k) FROM idempotency_keys k) AS keys`)
  return JSON.stringify(rows)
}

test('a mailbox is created on a domain of the tenant; its passwords are in the vault and nowhere else', async () => {
  const input = {
    ...{ domainId: demo.domainId, localPart: ' Ada.Lee ', displayName: 'Ada', dailyLimit: 30, idempotencyKey: 'ada' },
    ...{ smtp: SMTP, smtpPassword: 'open sesame', imap: { ...IMAP, user: 'ada' }, imapPassword: 'other sesame' },
  }
  const told = await create(input)
  const { id, ...mailbox } = told.value.emailAccount
  expect(mailbox).toEqual({
    ...{ email: `ada.lee@${demo.domain}`, displayName: 'Ada', domain: { id: demo.domainId }, provider: 'SMTP' },
    ...{ status: 'ACTIVE', pausedReason: null, dailyLimit: 30, warmupStatus: 'NOT_STARTED', warmupStartedAt: null },
    smtp: { host: 'smtp.mail.example', port: 465, secure: true, user: 'ada' },
    imap: { ...IMAP, user: 'ada' },
  })
  const { vaultKeyPath } = await rowOf(id)
  expect(await vault.read(vaultKeyPath ?? '')).toBe('open sesame')
  expect(await vault.read(imapSecretPath(vaultKeyPath ?? ''))).toBe('other sesame')
  expect(await everythingStored()).not.toMatch(/sesame/)
  expect(JSON.stringify(told)).not.toMatch(/sesame|mailboxes\//)
  const { rows } = await tier.db.systemSql.query('SELECT email FROM mailbox_directory WHERE email_account_id = $1', [
    id,
  ])
  expect(rows).toEqual([{ email: `ada.lee@${demo.domain}` }])

  expect((await create(input)).value.emailAccount.id).toBe(id)
  expect((await create({ ...input, dailyLimit: 31 })).code).toBe('CONFLICT')
  expect((await create({ ...input, idempotencyKey: null, localPart: 'ADA.LEE' })).code).toBe('CONFLICT')
})

test('one that is not told how it sends waits for it; then its campaigns are planned again', async () => {
  const workspace = await foundLaunchable(tier)
  const { tenantId, domainId, campaignId } = workspace
  const { value } = await create({ domainId, localPart: 'late' }, workspace)
  const { id: emailAccountId } = value.emailAccount
  expect(value.emailAccount).toMatchObject({ status: 'PENDING', smtp: null, imap: null, dailyLimit: 50 })
  expect((await rowOf(emailAccountId)).vaultKeyPath).toBeNull()
  await tier.db.system.campaign.updateMany({ where: { tenantId }, data: { status: 'sending' } })
  const connected = await update({ emailAccountId, smtp: { ...SMTP, user: null } }, workspace)
  expect(connected.value.emailAccount).toMatchObject({ status: 'ACTIVE', smtp: { host: 'smtp.mail.example' } })
  const plans = (await tier.announced(tenantId)).filter(({ eventType }) => eventType === 'campaign.planDue')
  expect(plans.map(({ aggregateId }) => aggregateId)).toEqual([campaignId])
})

test('what is given of a mailbox is changed, and nothing else; the audit log is told which passwords, not what they are', async () => {
  const workspace = await foundLaunchable(tier)
  const { mailboxId: emailAccountId } = workspace
  const foreign = 'mailboxes/of-somebody-else'
  await vault.put(foreign, 'old secret')
  await vault.put(imapSecretPath(foreign), 'old imap secret')
  await tier.db.system.emailAccount.updateMany({
    where: { id: emailAccountId },
    data: {
      status: 'disconnected',
      vaultKeyPath: foreign,
      smtpSettings: { host: 'old.example', port: 25, secure: false, user: 'x' },
    },
  })
  const named = await update({ emailAccountId, displayName: 'Sales' }, workspace)
  expect(named.value.emailAccount).toMatchObject({
    displayName: 'Sales',
    status: 'DISCONNECTED',
    smtp: { host: 'old.example' },
  })
  const told = await update({ emailAccountId, smtpPassword: 'new secret' }, workspace)
  expect(told.value.emailAccount).toMatchObject({ status: 'ACTIVE', displayName: 'Sales', smtp: { user: 'x' } })
  const { vaultKeyPath } = await rowOf(emailAccountId)
  expect(vaultKeyPath).not.toBe(foreign)
  expect(await vault.read(vaultKeyPath ?? '')).toBe('new secret')
  expect(await vault.read(imapSecretPath(vaultKeyPath ?? ''))).toBe('old imap secret')
  expect(await vault.read(foreign)).toBe('old secret')
  expect((await update({ emailAccountId, smtp: null }, workspace)).value.emailAccount.smtp).toBeNull()
  const acts = await auditedActs(tier, workspace, 'EmailAccount')
  expect(acts.map(({ newValues }) => newValues)).toEqual([
    {},
    { passwords: ['smtp'], status: 'active' },
    { smtp: null },
  ])
  expect(await everythingStored()).not.toMatch(/new secret|old secret/)
})

test('a server is a name or an address and a port; whoever logs in has a password', async () => {
  const { domainId } = demo
  const withParts = (parts: object) => create({ domainId, localPart: uuidv7().slice(-12), ...parts })
  for (const smtp of [
    { host: '', port: 25 },
    { host: 'a b', port: 25 },
    { host: 'http://mail.example', port: 25 },
    { host: 'mail.example:25', port: 25 },
    { host: '0x7f.1', port: 25 },
    { host: '2130706433', port: 25 },
    { host: 'mail.example', port: 0 },
    { host: 'mail.example', port: 65_536 },
  ]) {
    expect([smtp, (await withParts({ smtp })).code]).toEqual([smtp, 'INVALID_INPUT'])
  }
  expect((await withParts({ smtp: SMTP })).message).toMatch(/^smtpPassword/)
  expect((await withParts({ imap: { ...IMAP, user: 'x' } })).message).toMatch(/^imapPassword/)
  expect((await withParts({ imap: IMAP, imapPassword: 'x' })).message).toMatch(/^imapPassword/)
  for (const smtpPassword of ['', 'a\nb', 'a\0b', 'x'.repeat(1001)]) {
    const told = await withParts({ smtp: SMTP, smtpPassword })
    expect(told.code).toBe('INVALID_INPUT')
    expect(told.message).not.toContain('xxx')
  }
  for (const localPart of ['', 'a b', 'a@b', '<a>', 'x'.repeat(65)]) {
    expect([localPart, (await create({ domainId, localPart })).code]).toEqual([localPart, 'INVALID_INPUT'])
  }
})

test('servers in our own networks are nobody’s mail servers', async () => {
  const workspace = await foundLaunchable(strict)
  const asStrict = makeAsk(
    () => strict,
    () => workspace,
    'owner',
  )
  const text =
    'mutation ($input: UpdateEmailAccountInput!) { updateEmailAccount(input: $input) { emailAccount { id } } }'
  const withHost = (host: string) =>
    asStrict(text, { input: { emailAccountId: workspace.mailboxId, smtp: { host, port: 25 } } })
  for (const host of [
    ...['127.0.0.1', '10.1.2.3', '172.16.0.1', '192.168.1.1', '169.254.169.254', '0.0.0.0', '100.64.0.1', '224.0.0.1'],
    ...['::1', '[::1]', 'fe80::1', 'fd00::1', '::ffff:127.0.0.1', 'localhost', 'db.internal', 'LOCALHOST.'],
  ]) {
    expect([host, (await withHost(host)).code]).toEqual([host, 'INVALID_INPUT'])
  }
  for (const host of ['smtp.mail.example', '192.0.2.1', '2001:db8::1']) {
    expect([host, (await withHost(host)).code]).toEqual([host, undefined])
  }
})

test('the plan says how many mailboxes there are, also while several are created at once', async () => {
  const workspace = await foundLaunchable(tier)
  const { domainId, tenantId } = workspace
  const answers = await Promise.all(
    Array.from({ length: 6 }, (_, n) => create({ domainId, localPart: `n${n}` }, workspace)),
  )
  expect(answers.filter(({ code }) => code === undefined)).toHaveLength(3)
  expect(answers.filter(({ code }) => code === 'LIMIT_REACHED')).toHaveLength(3)
  expect(await tier.db.system.emailAccount.count({ where: { tenantId, deletedAt: null } })).toBe(5)
})

test('its daily limit, its warmup and whether it sends at all are set by a person', async () => {
  const workspace = await foundLaunchable(tier)
  const { mailboxId: emailAccountId } = workspace
  expect((await setDailyLimit({ emailAccountId, dailyLimit: 2000 }, workspace)).value.emailAccount.dailyLimit).toBe(
    2000,
  )
  expect((await setDailyLimit({ emailAccountId, dailyLimit: 0 }, workspace)).value.emailAccount.dailyLimit).toBe(0)
  for (const dailyLimit of [-1, 2001]) {
    expect((await setDailyLimit({ emailAccountId, dailyLimit }, workspace)).code).toBe('INVALID_INPUT')
  }
  expect((await pauseWarmup({ emailAccountId }, workspace)).code).toBe('CONFLICT')
  const started = await startWarmup({ emailAccountId }, workspace)
  expect(started.value.emailAccount).toMatchObject({ warmupStatus: 'ACTIVE', warmupStartedAt: expect.any(String) })
  expect((await startWarmup({ emailAccountId }, workspace)).code).toBe('CONFLICT')
  expect((await pauseWarmup({ emailAccountId }, workspace)).value.emailAccount.warmupStatus).toBe('PAUSED')
  const again = await startWarmup({ emailAccountId }, workspace)
  expect(again.value.emailAccount.warmupStartedAt).toBe(started.value.emailAccount.warmupStartedAt)
  const paused = await pause({ emailAccountId, reason: 'Moving' }, workspace)
  expect(paused.value.emailAccount).toMatchObject({ status: 'PAUSED', pausedReason: 'Moving' })
  expect((await pause({ emailAccountId }, workspace)).code).toBe('CONFLICT')
  const acts = await auditedActs(tier, workspace, 'EmailAccount')
  expect(acts.map(({ action }) => action.replace('emailAccount.', ''))).toEqual([
    ...['setDailyLimit', 'setDailyLimit', 'startWarmup', 'pauseWarmup', 'startWarmup', 'pause'],
  ])
})

test('a mailbox that a sending campaign names stays; a deleted one takes its passwords along and frees its address', async () => {
  const workspace = await foundLaunchable(tier)
  const { tenantId, mailboxId, domainId } = workspace
  for (const status of ['scheduled', 'sending']) {
    await tier.db.system.campaign.updateMany({ where: { tenantId }, data: { status } })
    expect((await drop({ emailAccountId: mailboxId }, workspace)).code).toBe('CONFLICT')
  }
  const input = { domainId, localPart: 'short', smtp: SMTP, smtpPassword: 'gone soon' }
  const { id } = (await create(input, workspace)).value.emailAccount
  const { vaultKeyPath } = await rowOf(id)
  expect((await drop({ emailAccountId: id }, workspace)).value).toEqual({ id })
  await expect(vault.read(vaultKeyPath ?? '')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  expect((await update({ emailAccountId: id, displayName: 'x' }, workspace)).code).toBe('NOT_FOUND')
  expect((await create(input, workspace)).code).toBeUndefined()
})

test('a company is renamed; its logo is a web address', async () => {
  const companyMutation = mutation('updateCompany', 'company { name workspaceName logoUrl }')
  const { companyId } = demo
  const told = await companyMutation({ companyId, workspaceName: 'Sales', logoUrl: 'https://x.example/logo.png' })
  expect(told.value.company).toEqual({ name: 'Company', workspaceName: 'Sales', logoUrl: 'https://x.example/logo.png' })
  expect((await companyMutation({ companyId, logoUrl: 'javascript:alert(1)' })).code).toBe('INVALID_INPUT')
  expect((await companyMutation({ companyId, name: ' ' })).code).toBe('INVALID_INPUT')
  expect((await companyMutation({ companyId: rival.companyId, name: 'Mine' })).code).toBe('NOT_FOUND')
  expect((await companyMutation({ companyId, name: 'x' }, demo, 'employee')).code).toBe('FORBIDDEN')
  const [act] = await auditedActs(tier, demo, 'Company')
  expect(act).toMatchObject({ action: 'company.update', newValues: { workspaceName: 'Sales' } })
})

test("another tenant's mailbox is not found; employees, viewers, staff and services change none", async () => {
  const before = await rowOf(rival.mailboxId)
  for (const emailAccountId of [rival.mailboxId, '01930000-0000-7000-8000-00000000dead']) {
    for (const act of [update, drop, pause, startWarmup, pauseWarmup]) {
      expect((await act({ emailAccountId })).code).toBe('NOT_FOUND')
    }
    expect((await setDailyLimit({ emailAccountId, dailyLimit: 1 })).code).toBe('NOT_FOUND')
  }
  expect((await create({ domainId: rival.domainId, localPart: 'mine' })).code).toBe('NOT_FOUND')
  expect(await rowOf(rival.mailboxId)).toEqual(before)
  const { mailboxId: emailAccountId, domainId } = demo
  for (const role of ['employee', 'viewer']) {
    for (const act of [update, drop, pause, startWarmup, pauseWarmup]) {
      expect((await act({ emailAccountId }, demo, role)).code).toBe('FORBIDDEN')
    }
    expect((await setDailyLimit({ emailAccountId, dailyLimit: 1 }, demo, role)).code).toBe('FORBIDDEN')
    expect((await create({ domainId, localPart: 'role' }, demo, role)).code).toBe('FORBIDDEN')
  }
  for (const caller of [STAFF, SERVICE]) {
    const text = 'mutation ($id: ID!) { pauseWarmup(input: { emailAccountId: $id }) { emailAccount { id } } }'
    expect((await tier.ask(text, { id: emailAccountId }, caller)).errors?.[0]?.extensions.code).toBe('FORBIDDEN')
  }
})
