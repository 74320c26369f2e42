import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import pg from 'pg'
import { runAsTenant } from '#platform/database/tenantScope.ts'
import { refreshViews } from '../../../subgraphs/analytics/services/precomputed.ts'
import { recordEmailEvents } from '../../../subgraphs/analytics/services/recordEvents.ts'
import { eventually } from '../../support/eventually.ts'
import { type AnalyticsTier, makeEvent, STAFF, startAnalyticsTier, userOf, WORKER } from './analyticsTier.ts'

let tier: AnalyticsTier
const [mine, theirs] = [randomUUID(), randomUUID()]
const [campaignId, emailAccountId, smtpIpAddressId] = [randomUUID(), randomUUID(), randomUUID()]
const VIEWS = ['campaign_performance', 'mailbox_health', 'tenant_month', 'ip_pool']

beforeAll(async () => {
  tier = await startAnalyticsTier()
  const now = new Date().toISOString()
  const today = { occurredAt: now, localDay: now.slice(0, 10) }
  const about = { campaignId, emailAccountId, smtpIpAddressId, ...today }
  await recordEmailEvents(tier.db.tenantSql, [
    ...Array.from({ length: 20 }, () => makeEvent({ tenantId: mine, ...about })),
    makeEvent({ tenantId: mine, ...about, eventType: 'replied' }),
    makeEvent({ tenantId: mine, ...about, eventType: 'bounced', bounceType: 'hard' }),
    makeEvent({ tenantId: theirs, ...about }),
  ])
  await tier.ask('mutation { advanceWatermark(pipeline: "email_events", upTo: "2026-03-01T00:00:00Z") }', {}, WORKER)
})
afterAll(() => tier.stop())

const READ = `{ topCampaigns { campaign { id } sent replyRate bounceRate asOf }
  mailboxesAtRisk { emailAccount { id } healthScore asOf } monthlyVolume { sent replied asOf } }`

describe('a precomputed view', () => {
  test('shows what was counted by its last refresh, to each tenant its own', async () => {
    expect((await tier.ask(READ, {}, userOf(mine))).data.topCampaigns).toEqual([])
    const refreshed = await tier.ask('mutation { refreshAnalyticsViews }', {}, WORKER)
    const asOf = '2026-03-01T00:00:00.000Z'
    expect(refreshed.data.refreshAnalyticsViews).toBe(asOf)
    const { data } = await tier.ask(READ, {}, userOf(mine))
    expect(data).toEqual({
      topCampaigns: [{ campaign: { id: campaignId }, sent: 20, replyRate: 0.05, bounceRate: 0.05, asOf }],
      mailboxesAtRisk: [{ emailAccount: { id: emailAccountId }, healthScore: 75, asOf }],
      monthlyVolume: [{ sent: 20, replied: 1, asOf }],
    })
    const rival = await tier.ask(READ, {}, userOf(theirs))
    expect(rival.data.topCampaigns).toMatchObject([{ sent: 1, replyRate: 0 }])
    expect((await tier.ask(READ, {}, userOf(randomUUID()))).data.monthlyVolume).toEqual([])
    const pool = await tier.ask('{ ipPool { address { id } sent } }', {}, STAFF)
    expect(pool.data.ipPool).toEqual([{ address: { id: smtpIpAddressId }, sent: 21 }])
  })

  test('is refreshed by services alone', async () => {
    const answer = await tier.ask('mutation { refreshAnalyticsViews }', {}, userOf(mine, 'owner'))
    expect(answer.errors?.[0]?.extensions.code).toBe('FORBIDDEN')
    const refresh = () => tier.db.tenantSql.query('SELECT refresh_analytics_views()')
    await expect(runAsTenant(mine, refresh)).rejects.toThrow('permission denied')
  })

  test('has data that the role of tenants cannot read past it', async () => {
    await tier.db.systemSql.query('SELECT refresh_analytics_views()')
    for (const view of VIEWS) {
      const read = (relation: string) => runAsTenant(mine, () => tier.db.tenantSql.query(`SELECT * FROM ${relation}`))
      await expect(read(`${view}_data`)).rejects.toThrow('permission denied')
      expect((await read(view)).rows.filter((row) => row.tenant_id !== mine)).toEqual([])
      // A function that tells what it is given sees no row that the filter has not let through.
      const tell = `SELECT * FROM ${view} WHERE (tenant_id::text || '!')::uuid IS NULL`
      const told = runAsTenant(randomUUID(), () => tier.db.tenantSql.query(tell))
      expect((await told).rows).toEqual([])
    }
  })

  test('without a tenant is an error, not an empty answer', async () => {
    for (const view of VIEWS) {
      await expect(tier.owner.query(`SELECT * FROM ${view}`)).rejects.toThrow('app.current_tenant_id')
    }
  })

  test('may take longer to refresh than a statement of a request', async () => {
    const { connectionString } = tier.db.systemSql.options
    const hurried = new pg.Pool({ connectionString, statement_timeout: 1_000 })
    const heldUp = `SELECT FROM pg_locks JOIN pg_database d ON d.oid = database AND d.datname = current_database()
      WHERE relation = 'campaign_performance_data'::regclass AND NOT granted`
    await tier.owner.query('BEGIN; REFRESH MATERIALIZED VIEW campaign_performance_data')
    try {
      const refreshed = refreshViews(hurried)
      await eventually(
        () => tier.db.systemSql.query(heldUp),
        ({ rowCount }) => rowCount === 1,
      )
      await new Promise((resolve) => setTimeout(resolve, 1_500))
      await tier.owner.query('COMMIT')
      expect(await refreshed).toBeInstanceOf(Date)
      expect((await hurried.query('SHOW statement_timeout')).rows).toEqual([{ statement_timeout: '1s' }])
    } finally {
      await hurried.end()
    }
  })

  test('can be refreshed without stopping its readers', async () => {
    const { rows } = await tier.owner.query(
      `SELECT view.relname FROM pg_class view WHERE view.relkind = 'm' AND NOT EXISTS (
         SELECT FROM pg_index key WHERE key.indrelid = view.oid AND key.indisunique AND key.indpred IS NULL)`,
    )
    expect(rows).toEqual([])
  })
})
