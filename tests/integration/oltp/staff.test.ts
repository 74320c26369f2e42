import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { PLATFORM_TENANT, runAsTenant } from '#platform/database/tenantScope.ts'
import { type OltpTier, STAFF, startOltpTier } from './oltpTier.ts'
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

test('staff see all servers and addresses, in a number of statements that does not grow with them', async () => {
  const query = `{ vpsInstances { nodes { id monthlyCost smtpIpAddresses { id ipAddress blocklists vpsInstance { id } } } }
    smtpIps(filter: { pool: SHARED }) { nodes { id } totalCount } }`
  const { result, statements } = await tier.db.statements.during(() => tier.ask(query, {}, STAFF))
  expect(result.data.vpsInstances.nodes).toEqual(
    [rival, demo].map(({ serverId, addressId, input }) => ({
      id: serverId,
      monthlyCost: 24.5,
      smtpIpAddresses: [
        {
          id: addressId,
          ipAddress: input.smtpIpAddresses[0]?.ipAddress,
          blocklists: [],
          vpsInstance: { id: serverId },
        },
      ],
    })),
  )
  expect(result.data.smtpIps.totalCount).toBe(2)
  expect(statements.filter((text) => /vps_instances|smtp_ip_addresses/.test(text)).length).toBeLessThanOrEqual(5)
})

test('what staff read is recorded, once per request and kind of thing', async () => {
  const before = await tier.announced(PLATFORM_TENANT)
  await tier.ask(
    `{ a: vpsInstance(id: "${demo.serverId}") { id } b: vpsInstances { nodes { id } } outboxEvents { totalCount } }`,
    {},
    STAFF,
  )
  const recorded = (await tier.announced(PLATFORM_TENANT)).slice(before.length)
  expect(recorded.map(({ aggregateType }) => aggregateType).sort()).toEqual(['OutboxEvent', 'VpsInstance'])
  expect(recorded[0]?.payload).toMatchObject({ adminUserId: STAFF.userId, action: 'staff.read', notes: 'as operator' })
})

test('staff see what waits in the outbox, and what was parked', async () => {
  await tier.db.system.outboxEvent.create({
    data: {
      tenantId: demo.tenantId,
      id: '01930000-0000-7000-8000-00000000e001',
      aggregateType: 'Campaign',
      aggregateId: demo.campaignId,
      eventType: 'email.sent',
      payload: {},
      parkedAt: new Date(),
      lastError: 'unreadable',
    },
  })
  const query = `{ outboxEvents(filter: { isParked: true, tenantId: "${demo.tenantId}" }) {
    nodes { eventType aggregateType lastError tenantId } } }`
  expect((await tier.ask(query, {}, STAFF)).data.outboxEvents.nodes).toEqual([
    { eventType: 'email.sent', aggregateType: 'Campaign', lastError: 'unreadable', tenantId: demo.tenantId },
  ])
})

test('viewer is null for staff', async () => {
  expect(await tier.ask('{ viewer { roles } }', {}, STAFF)).toEqual({ data: { viewer: null } })
})

/** What the app role may not write, whoever's row it is. */
const FORBIDDEN_WRITES: Record<string, string> = {
  'found a tenant': "INSERT INTO tenants (id, name, slug) VALUES (gen_random_uuid(), 'x', 'x')",
  'change its slug': "UPDATE tenants SET slug = 'other'",
  'add a member':
    'INSERT INTO tenant_users (tenant_id, user_id, email, roles) SELECT tenant_id, user_id, email, roles FROM tenant_users',
  'change a user': "UPDATE users SET name = 'x'",
  'assign an address': 'UPDATE domain_ip_assignments SET expires_at = NULL',
  'change its plan': "UPDATE subscriptions SET status = 'active'",
  'lift a suppression': 'DELETE FROM suppressions',
  'read servers': 'SELECT id FROM vps_instances',
  'read the blocklists of its address': 'SELECT blocklists FROM smtp_ip_addresses',
  'read the directory': 'SELECT email FROM mailbox_directory',
  'read a partition': 'SELECT id FROM inbox_message_refs_p00',
}

test.each(Object.keys(FORBIDDEN_WRITES))('the app role may not %s', async (what) => {
  const attempt = runAsTenant(demo.tenantId, () => tier.db.tenantSql.query(FORBIDDEN_WRITES[what] ?? ''))
  await expect(attempt).rejects.toMatchObject({ code: '42501' })
})

test('a tenant renames itself and nobody else', async () => {
  await runAsTenant(demo.tenantId, () => tier.db.tenantSql.query("UPDATE tenants SET name = 'Renamed'"))
  const tenants = await tier.db.system.tenant.findMany({ where: { name: 'Renamed' } })
  expect(tenants.map(({ id }) => id)).toEqual([demo.tenantId])
})
