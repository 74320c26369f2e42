import { v7 as uuidv7 } from 'uuid'
import { runAsTenant } from '#platform/database/tenantScope.ts'
import { budgetKeys, findCampaignFacts } from '../../../subgraphs/oltp/services/sending/campaignFacts.ts'
import type { OltpTier } from './oltpTier.ts'
import { foundTenant, makeWorkspace, type Workspace } from './workspace.ts'

/** Founds a tenant whose campaign is a draft that nothing keeps from being launched. */
export async function foundLaunchable(tier: OltpTier): Promise<Workspace> {
  const workspace = makeWorkspace()
  const { input } = workspace
  Object.assign(input.templates[0] ?? {}, { bodyText: 'Hello {{ lead.name }}, {{ unsubscribe_url }}' })
  Object.assign(input.campaigns[0] ?? {}, { status: 'DRAFT' })
  return foundTenant(tier, workspace)
}

/** Writes leads of a tenant straight into the table; answers their ids. */
export async function writeLeads(
  tier: OltpTier,
  { tenantId }: Workspace,
  count: number,
  parts: (n: number) => object = () => ({}),
): Promise<string[]> {
  const rows = Array.from({ length: count }, (_, n) => ({
    ...{ tenantId, id: uuidv7(), email: `lead${n}.${uuidv7().slice(-8)}@x.example`, name: `Lead ${n}` },
    ...parts(n),
  }))
  await tier.db.system.lead.createMany({ data: rows })
  return rows.map(({ id }) => id)
}

/** A mail of the workspace's campaign to one of its enrollments; answers its id. */
export async function writeMail(
  tier: OltpTier,
  { tenantId, mailboxId, campaignId, stepId, leadId, enrollmentId }: Workspace,
  parts: { status?: string; scheduledAt?: Date; enrollmentId?: string; leadId?: string } = {},
): Promise<string> {
  const id = uuidv7()
  const names = { tenantId, id, emailAccountId: mailboxId, campaignId, stepId, leadId, enrollmentId, threadId: id }
  const data = { ...names, dedupKey: id, direction: 'outbound', status: 'queued', ...parts }
  await tier.db.system.inboxMessageRef.create({ data })
  return id
}

/** Has the days and the plan's period of a mail at this time hold what was promised: so many mails of each kind. */
export async function writePromises(tier: OltpTier, workspace: Workspace, at: Date, reserved: number): Promise<void> {
  const { tenantId, mailboxId, domainId, campaignId } = workspace
  const facts = await runAsTenant(tenantId, () => findCampaignFacts(tier.db.tenantSql, [campaignId]))
  const mailbox = { id: mailboxId, domainId, timezone: 'Europe/Berlin' }
  const keys = budgetKeys(facts.get(campaignId) ?? null, mailbox, at)
  await tier.db.system.sendingBudget.createMany({
    data: keys.map(({ day, ...key }) => ({ tenantId, ...key, day: new Date(day), reserved })),
  })
}

/** How much is promised of each. */
export async function promisesOf(tier: OltpTier, { tenantId }: Workspace): Promise<Record<string, number>> {
  const budgets = await tier.db.system.sendingBudget.findMany({ where: { tenantId }, orderBy: { scope: 'asc' } })
  return Object.fromEntries(budgets.map(({ scope, reserved }) => [scope, reserved]))
}
