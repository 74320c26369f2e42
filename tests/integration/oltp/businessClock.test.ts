import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals'
import { setClock } from '#platform/clock.ts'
import { makeAsk } from './asking.ts'
import { foundLaunchable } from './launchable.ts'
import { type OltpTier, startOltpTier } from './oltpTier.ts'
import { setNow } from './sendingWorld.ts'
import type { Workspace } from './workspace.ts'

let tier: OltpTier
let workspace: Workspace
let rival: Workspace
beforeAll(async () => {
  tier = await startOltpTier()
  rival = await foundLaunchable(tier)
})
afterAll(() => tier?.stop())
afterEach(() => setClock({ speed: 1, originAt: 0 }))

const ask = makeAsk(
  () => tier,
  () => workspace,
  'owner',
)
const remove = (kind: string, id: string) => {
  const [name, field] = [`delete${kind}`, `${kind.replace('CampaignStep', 'Step')}`]
  const text = `mutation ($input: ${`${name[0]?.toUpperCase()}${name.slice(1)}`}Input!) { ${name}(input: $input) { __typename } }`
  return ask(text, { input: { [`${field[0]?.toLowerCase()}${field.slice(1)}Id`]: id } })
}

test('what is deleted or verified is so at the time of business, which may be far from the machine’s', async () => {
  setNow('2031-05-04T09:00:00Z')
  workspace = await foundLaunchable(tier)
  const { tenantId, domainId, leadId, stepId, templateId, mailboxId, pausedMailboxId } = workspace
  for (const [kind, id] of [
    ['CampaignStep', stepId],
    ['Template', templateId],
    ['Lead', leadId],
    ['EmailAccount', mailboxId],
    ['EmailAccount', pausedMailboxId],
    ['Domain', domainId],
  ] as const) {
    expect([kind, (await remove(kind, id)).code]).toEqual([kind, undefined])
  }
  for (const table of ['campaign_sequence_steps', 'templates', 'leads', 'email_accounts', 'domains']) {
    const text = `SELECT DISTINCT date_trunc('day', deleted_at AT TIME ZONE 'UTC')::date::text AS day FROM ${table} WHERE tenant_id = $1`
    const { rows } = await tier.db.systemSql.query(text, [tenantId])
    expect([table, rows]).toEqual([table, [{ day: '2031-05-04' }]])
    const { rows: rivals } = await tier.db.systemSql.query(text, [rival.tenantId])
    expect([table, rivals]).toEqual([table, [{ day: null }]])
  }
  const { verifiedAt } = await tier.db.system.domain.findFirstOrThrow({ where: { tenantId } })
  expect(verifiedAt?.getUTCFullYear()).toBe(2031)
})
