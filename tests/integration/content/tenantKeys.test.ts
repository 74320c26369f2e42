import { randomBytes, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { runAsTenant } from '#platform/database/tenantScope.ts'
import { TenantKeys } from '../../../subgraphs/content/services/tenantKeys.ts'
import { type ContentTier, startContentTier, userOf } from './contentTier.ts'
import { mail, PLAIN } from './mails.ts'

let tier: ContentTier

beforeAll(async () => {
  tier = await startContentTier()
})
afterAll(() => tier?.stop())

const freshKeys = (masterKey = tier.masterKey) => new TenantKeys(tier.db, masterKey)

describe("a tenant's keys", () => {
  test('are made once, however many processes need them first', async () => {
    const tenant = randomUUID()
    const made = await runAsTenant(tenant, () => Promise.all(Array.from({ length: 12 }, () => freshKeys().current())))
    expect(new Set(made.map(({ version, dataKey }) => `${version}/${dataKey.toString('hex')}`)).size).toBe(1)
    expect(await tier.rows(tenant, 'SELECT version FROM tenant_keys')).toEqual([{ version: 1 }])
  })

  test('are read from the database once a process', async () => {
    const keys = freshKeys()
    const { statements } = await tier.statementsOf(() =>
      runAsTenant(randomUUID(), async () => {
        for (let times = 0; times < 5; times += 1) await Promise.all([keys.current(), keys.current()])
      }),
    )
    expect(statements).toHaveLength(3)
  })

  test('differ from tenant to tenant and from use to use', async () => {
    const keys = freshKeys()
    const two = await Promise.all([randomUUID(), randomUUID()].map((id) => runAsTenant(id, () => keys.current())))
    const all = two.flatMap(({ hashKey, dataKey }) => [hashKey.toString('hex'), dataKey.toString('hex')])
    expect(new Set(all).size).toBe(4)
  })

  test('are wrapped: neither stands in the database', async () => {
    const tenant = randomUUID()
    const { hashKey, dataKey } = await runAsTenant(tenant, () => freshKeys().current())
    const [row] = await tier.rows<{ text: string }>(tenant, 'SELECT tenant_keys::text AS text FROM tenant_keys')
    for (const key of [hashKey, dataKey]) expect(row?.text).not.toContain(key.toString('hex'))
  })

  test('do not unwrap in the row of another tenant', async () => {
    const [own, rival] = [randomUUID(), randomUUID()]
    for (const tenant of [own, rival]) await runAsTenant(tenant, () => freshKeys().current())
    await tier.db.systemSql.query(
      `UPDATE tenant_keys SET wrapped_data_key = (SELECT wrapped_data_key FROM tenant_keys WHERE tenant_id = $1)
       WHERE tenant_id = $2`,
      [own, rival],
    )
    await expect(runAsTenant(rival, () => freshKeys().current())).rejects.toThrow()
  })

  test('under another master key are a loud error, not new keys', async () => {
    const tenant = randomUUID()
    await runAsTenant(tenant, () => freshKeys().current())
    await expect(runAsTenant(tenant, () => freshKeys(randomBytes(32)).current())).rejects.toThrow(/master key/)
    expect(await tier.rows(tenant, 'SELECT version FROM tenant_keys')).toHaveLength(1)
  })

  test('that are retired still open what they sealed, and new content gets the next version', async () => {
    const tenant = randomUUID()
    await tier.store(tenant, { old: mail(PLAIN, 'old words') })
    await tier.db.systemSql.query('UPDATE tenant_keys SET retired_at = now() WHERE tenant_id = $1', [tenant])
    const keys = freshKeys()
    expect(await runAsTenant(tenant, () => keys.current())).toMatchObject({ version: 2 })
    const query = '{ contentObject(storageKey: "old") { text } }'
    expect(await tier.ask(query, {}, userOf(tenant))).toEqual({ data: { contentObject: { text: 'old words\n' } } })
  })
})
