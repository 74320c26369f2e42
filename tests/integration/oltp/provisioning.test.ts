import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type OltpTier, SERVICE, STAFF, startOltpTier, userOf } from './oltpTier.ts'
import { foundTenant, makeWorkspace, type Workspace } from './workspace.ts'

let tier: OltpTier
let demo: Workspace
let rival: Workspace

beforeAll(async () => {
  tier = await startOltpTier()
  demo = await foundTenant(tier)
  rival = await foundTenant(tier)
})
afterAll(() => tier?.stop())

const PROVISION = `mutation ($input: ProvisionTenantInput!) { provisionTenant(input: $input) { tenantId created } }`

test('provisioning again changes nothing, not even what now says otherwise', async () => {
  const [company] = demo.input.companies
  const again = { ...demo.input, companies: [{ ...company, name: 'Another name' }] }
  const answer = await tier.ask(PROVISION, { input: again }, SERVICE)
  expect(answer.data).toEqual({ provisionTenant: { tenantId: demo.tenantId, created: false } })
  const companies = await tier.ask('{ companies { nodes { id name } totalCount } }', {}, userOf(demo.tenantId))
  expect(companies.data.companies).toEqual({ nodes: [{ id: demo.companyId, name: 'Company' }], totalCount: 1 })
})

test('a slug that another tenant has is a conflict, and nothing of the new tenant stays', async () => {
  const other = makeWorkspace()
  const input = { ...other.input, tenant: { ...other.input.tenant, slug: demo.slug } }
  const answer = await tier.ask(PROVISION, { input }, SERVICE)
  expect(answer.errors?.[0]?.extensions.code).toBe('CONFLICT')
  expect(await tier.db.system.tenant.count({ where: { id: other.tenantId } })).toBe(0)
  expect(await tier.db.system.user.count({ where: { id: other.userId } })).toBe(0)
})

test('an id that points nowhere is a conflict; one that is no id, or an unknown plan or timezone, is invalid input', async () => {
  const other = makeWorkspace()
  const code = async (changes: object) => {
    const answer = await tier.ask(PROVISION, { input: { ...other.input, ...changes } }, SERVICE)
    return answer.errors?.[0]?.extensions.code
  }
  const [domain] = other.input.domains
  expect(await code({ domains: [{ ...domain, companyId: rival.companyId }] })).toBe('CONFLICT')
  expect(await code({ domains: [{ ...domain, id: 'x' }] })).toBe('INVALID_INPUT')
  expect(await code({ subscription: { ...other.input.subscription, planCode: 'gold' } })).toBe('INVALID_INPUT')
  expect(await code({ tenant: { ...other.input.tenant, timezone: 'Mars/Olympus' } })).toBe('INVALID_INPUT')
  expect(await tier.db.system.tenant.count({ where: { id: other.tenantId } })).toBe(0)
})

test('thousands of leads fit into one call', async () => {
  const big = makeWorkspace()
  const leads = Array.from({ length: 5_000 }, (_, n) => ({
    ...big.input.leads[0],
    id: `01930000-0000-7000-8000-${String(n).padStart(12, '0')}`,
    email: `lead${n}@big.example`,
  }))
  const input = { ...big.input, leads, campaigns: [] }
  const answer = await tier.ask(PROVISION, { input }, SERVICE)
  expect(answer.data?.provisionTenant.created).toBe(true)
  expect(await tier.db.system.lead.count({ where: { tenantId: big.tenantId } })).toBe(5_000)
})

test('only our own processes provision', async () => {
  for (const caller of [userOf(demo.tenantId), STAFF]) {
    const answer = await tier.ask(PROVISION, { input: makeWorkspace().input }, caller)
    expect(answer.errors?.[0]?.extensions.code).toBe('FORBIDDEN')
  }
})

test('addresses are kept in lower case, and mailboxes are found in the directory', async () => {
  const lines = await tier.db.system.mailboxDirectory.findMany({ where: { tenantId: demo.tenantId } })
  expect(lines.map(({ email, emailAccountId }) => ({ email, emailAccountId }))).toEqual(
    expect.arrayContaining([
      { email: `sales@${demo.domain}`, emailAccountId: demo.mailboxId },
      { email: `old@${demo.domain}`, emailAccountId: demo.pausedMailboxId },
    ]),
  )
})

test('the directory follows a mailbox that is renamed, deleted and brought back', async () => {
  const { emailAccount, mailboxDirectory } = tier.db.system
  const id = rival.pausedMailboxId
  const where = { tenantId_id: { tenantId: rival.tenantId, id } }
  const emails = async () =>
    (await mailboxDirectory.findMany({ where: { emailAccountId: id } })).map(({ email }) => email)
  await emailAccount.update({ where, data: { email: `new@${rival.domain}` } })
  expect(await emails()).toEqual([`new@${rival.domain}`])
  await emailAccount.update({ where, data: { deletedAt: new Date() } })
  expect(await emails()).toEqual([])
  await emailAccount.update({ where, data: { deletedAt: null } })
  expect(await emails()).toEqual([`new@${rival.domain}`])
})

test('two tenants may claim one address: neither learns of the other', async () => {
  const { emailAccount, mailboxDirectory } = tier.db.system
  const email = `sales@${demo.domain}`
  const where = { tenantId_id: { tenantId: rival.tenantId, id: rival.mailboxId } }
  await emailAccount.update({ where, data: { email } })
  expect(await mailboxDirectory.count({ where: { email } })).toBe(2)
})
