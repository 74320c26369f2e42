import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { PLATFORM_TENANT, runAsTenant } from '#platform/database/tenantScope.ts'
import { recordAuditEntries, verifyChain } from '../../../subgraphs/analytics/services/auditLog.ts'
import { type AnalyticsTier, STAFF, startAnalyticsTier, userOf, WORKER } from './analyticsTier.ts'

let tier: AnalyticsTier
beforeAll(async () => {
  tier = await startAnalyticsTier()
})
afterAll(() => tier.stop())

function makeEntry(tenantId: string, parts: object = {}) {
  return {
    eventId: randomUUID(),
    tenantId,
    acceptedAt: '2026-03-02T10:00:00.123Z',
    adminUserId: randomUUID(),
    action: 'campaign.create',
    resourceType: 'Campaign',
    resourceId: randomUUID(),
    newValues: { name: 'Spring', tags: ['a', 'ü'] },
    ...parts,
  }
}

async function append(entries: readonly ReturnType<typeof makeEntry>[]) {
  return (await recordAuditEntries(tier.db.tenantSql, entries)).map(({ status }) => status)
}

function chainOf(tenantId: string) {
  return runAsTenant(tenantId, () => verifyChain(tier.db.tenantSql))
}

/** Changes the log as only someone can who owns the tables and takes their guards away first. */
async function tamper(statement: string, tenantId: string) {
  const { owner } = tier
  await owner.query('ALTER TABLE admin_audit_log DISABLE TRIGGER USER')
  await owner.query('GRANT UPDATE, DELETE ON admin_audit_log TO analytics_owner')
  await owner.query(statement, [tenantId])
  await owner.query('REVOKE UPDATE, DELETE ON admin_audit_log FROM analytics_owner')
  await owner.query('ALTER TABLE admin_audit_log ENABLE ALWAYS TRIGGER append_only, ENABLE ALWAYS TRIGGER chain_entry')
}

describe('the audit log', () => {
  test('records an entry once, and a faulty one is rejected alone', async () => {
    const tenantId = randomUUID()
    const entry = makeEntry(tenantId)
    const nul = makeEntry(tenantId, { newValues: { name: 'a\0b' } })
    const nameless = makeEntry(tenantId, { action: '' })
    expect(await append([entry, nul, entry, nameless, makeEntry(tenantId)])).toEqual([
      'recorded',
      'rejected',
      'duplicate',
      'rejected',
      'recorded',
    ])
    expect(await append([entry])).toEqual(['duplicate'])
    expect(await chainOf(tenantId)).toMatchObject({ entries: 2, brokenAt: null })
    expect(await chainOf(randomUUID())).toEqual({ entries: 0, brokenAt: null, headHash: null })
  })

  test('stays one chain per tenant when many append at once', async () => {
    const tenants = [randomUUID(), randomUUID()]
    const batches = Array.from({ length: 20 }, () =>
      tenants.flatMap((tenantId) => Array.from({ length: 10 }, () => makeEntry(tenantId))),
    )
    await Promise.all([...batches, ...batches.slice(0, 5)].map(append))
    for (const tenantId of tenants) expect(await chainOf(tenantId)).toMatchObject({ entries: 200, brokenAt: null })
  })

  test('tells where it was changed, where an entry was removed and where one was put in', async () => {
    const tampering: Record<string, bigint> = {
      'UPDATE admin_audit_log SET new_values = \'{"name": "Autumn"}\' WHERE tenant_id = $1 AND id = 3': 3n,
      "UPDATE admin_audit_log SET created_at = created_at + interval '1 ms' WHERE tenant_id = $1 AND id = 1": 1n,
      'DELETE FROM admin_audit_log WHERE tenant_id = $1 AND id = 2': 3n,
      "UPDATE admin_audit_log SET row_hash = repeat('f', 64) WHERE tenant_id = $1 AND id = 4": 4n,
    }
    for (const [statement, brokenAt] of Object.entries(tampering)) {
      const tenantId = randomUUID()
      await append(Array.from({ length: 5 }, () => makeEntry(tenantId)))
      const { headHash } = await chainOf(tenantId)
      await tamper(statement, tenantId)
      expect(await chainOf(tenantId)).toMatchObject({ brokenAt, headHash })
    }
  })

  test('a hash that was computed anew still does not fit the entry behind it', async () => {
    const tenantId = randomUUID()
    await append(Array.from({ length: 3 }, () => makeEntry(tenantId)))
    await tamper("UPDATE admin_audit_log SET action = 'nothing' WHERE tenant_id = $1 AND id = 2", tenantId)
    await tamper('UPDATE admin_audit_log a SET row_hash = audit_row_hash(a) WHERE tenant_id = $1 AND id = 2', tenantId)
    expect(await chainOf(tenantId)).toMatchObject({ brokenAt: 3n })
  })

  test('refuses every change to every role, its owner included', async () => {
    const tenantId = randomUUID()
    await append([makeEntry(tenantId)])
    const statements = [
      "UPDATE admin_audit_log SET action = 'x'",
      'DELETE FROM admin_audit_log',
      'TRUNCATE admin_audit_log',
    ]
    for (const statement of statements) {
      const asApp = runAsTenant(tenantId, () => tier.db.tenantSql.query(statement))
      await expect(asApp).rejects.toThrow('permission denied')
      await expect(tier.db.systemSql.query(statement)).rejects.toThrow('permission denied')
      await expect(tier.owner.query(statement)).rejects.toThrow('permission denied')
    }
    await tier.owner.query('GRANT UPDATE, DELETE, TRUNCATE ON admin_audit_log TO analytics_owner')
    for (const statement of statements) await expect(tier.owner.query(statement)).rejects.toThrow('append-only')
    await tier.owner.query('REVOKE UPDATE, DELETE, TRUNCATE ON admin_audit_log FROM analytics_owner')
    expect(await chainOf(tenantId)).toMatchObject({ entries: 1, brokenAt: null })
  })

  test('lets nobody choose a place or a hash', async () => {
    const tenantId = randomUUID()
    await runAsTenant(tenantId, () =>
      tier.db.tenantSql.query(
        `INSERT INTO admin_audit_log (tenant_id, id, event_id, action, resource_type, resource_id, previous_hash, row_hash,
           created_at) VALUES ($1, 77, $2, 'a', 'b', 'c', 'mine', 'mine', now())`,
        [tenantId, randomUUID()],
      ),
    )
    expect(await chainOf(tenantId)).toMatchObject({ entries: 1, brokenAt: null })
  })
})

const READ = `query ($filter: AuditLogFilter) {
  auditLog(filter: $filter) { totalCount nodes { id position action actor { id } newValues createdAt } }
}`

describe('reading the audit log', () => {
  test('is for owners and admins, who see their own tenant and nothing of the other', async () => {
    const [mine, theirs] = [randomUUID(), randomUUID()]
    const entry = makeEntry(mine)
    await append([entry, makeEntry(theirs)])
    const { data } = await tier.ask(READ, {}, userOf(mine, 'admin'))
    expect(data.auditLog).toEqual({
      totalCount: 1,
      nodes: [
        {
          id: entry.eventId,
          position: 1,
          action: 'campaign.create',
          actor: { id: entry.adminUserId },
          newValues: entry.newValues,
          createdAt: '2026-03-02T10:00:00.123Z',
        },
      ],
    })
    const asManager = await tier.ask(READ, {}, userOf(mine, 'manager'))
    expect(asManager.errors?.[0]?.extensions.code).toBe('FORBIDDEN')
    const asOther = await tier.ask(READ, { filter: { tenantId: mine } }, userOf(theirs, 'owner'))
    expect(asOther.errors?.[0]?.extensions.code).toBe('FORBIDDEN')
    const chain = await tier.ask('{ auditChain { entries intact } }', {}, userOf(mine, 'owner'))
    expect(chain.data.auditChain).toEqual({ entries: 1, intact: true })
  })

  test("an entry of another tenant is no entity, just like one that doesn't exist", async () => {
    const [mine, theirs] = [randomUUID(), randomUUID()]
    const [own, other] = [makeEntry(mine), makeEntry(theirs)]
    await append([own, other])
    const query = 'query ($r: [_Any!]!) { _entities(representations: $r) { ... on AuditEntry { id } } }'
    const r = [own.eventId, other.eventId, randomUUID(), 'nonsense'].map((id) => ({ __typename: 'AuditEntry', id }))
    const { data } = await tier.ask(query, { r }, userOf(mine, 'owner'))
    expect(data._entities).toEqual([{ id: own.eventId }, null, null, null])
    expect((await tier.ask(query, { r }, userOf(mine, 'viewer'))).errors?.[0]?.extensions.code).toBe('FORBIDDEN')
  })

  test('by staff is itself recorded, in the log of the platform', async () => {
    const tenantId = randomUUID()
    await append([makeEntry(tenantId)])
    const { data } = await tier.ask(READ, { filter: { tenantId } }, STAFF)
    expect(data.auditLog).toMatchObject({ totalCount: 1, nodes: [{ position: 1 }] })
    const readings = await runAsTenant(PLATFORM_TENANT, () =>
      tier.db.tenant.adminAuditLog.findMany({ where: { action: 'auditLog.read', resourceId: tenantId } }),
    )
    expect(readings).toMatchObject([{ adminUserId: STAFF.userId, notes: 'staff: support' }])
  })

  test('only services append', async () => {
    const mutation = 'mutation ($e: [AuditEntryInput!]!) { recordAuditEntries(entries: $e) { key status error } }'
    const { eventId: key, ...entry } = makeEntry(randomUUID())
    const variables = { e: [{ key, ...entry }] }
    const asOwner = await tier.ask(mutation, variables, userOf(entry.tenantId, 'owner'))
    expect(asOwner.errors?.[0]?.extensions.code).toBe('FORBIDDEN')
    const asWorker = await tier.ask(mutation, variables, WORKER)
    expect(asWorker.data.recordAuditEntries).toEqual([{ key, status: 'RECORDED', error: null }])
  })
})
