import { v7 as uuidv7 } from 'uuid'
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
  parts: { status?: string; enrollmentId?: string; leadId?: string } = {},
): Promise<string> {
  const id = uuidv7()
  const names = { tenantId, id, emailAccountId: mailboxId, campaignId, stepId, leadId, enrollmentId, threadId: id }
  const data = { ...names, dedupKey: id, direction: 'outbound', status: 'queued', ...parts }
  await tier.db.system.inboxMessageRef.create({ data })
  return id
}
