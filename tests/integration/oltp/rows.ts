import { v7 as uuidv7 } from 'uuid'
import type { OltpTier } from './oltpTier.ts'
import type { Workspace } from './workspace.ts'

type MessageParts = {
  at?: Date
  subject?: string
  direction?: 'inbound' | 'outbound'
  leadId?: string | null
  campaignId?: string | null
  isStarred?: boolean
  storageKey?: string
}

/** Writes messages of a tenant's campaign straight into the table, a second apart, oldest first; answers their ids. */
export async function writeMessages(tier: OltpTier, workspace: Workspace, messages: MessageParts[]): Promise<string[]> {
  const { tenantId, mailboxId: emailAccountId, campaignId, stepId, leadId } = workspace
  const rows = messages.map((parts, index) => {
    const id = uuidv7()
    const direction = parts.direction ?? 'outbound'
    return {
      tenantId,
      id,
      emailAccountId,
      campaignId: parts.campaignId === undefined ? campaignId : parts.campaignId,
      stepId,
      leadId: parts.leadId === undefined ? leadId : parts.leadId,
      threadId: id,
      direction,
      status: direction === 'inbound' ? 'received' : 'sent',
      subject: parts.subject ?? `Mail ${index}`,
      fromEmail: direction === 'inbound' ? 'them@x.example' : 'us@x.example',
      dedupKey: id,
      contentStorageKey: parts.storageKey ?? `mail/${id}`,
      isStarred: parts.isStarred ?? false,
      createdAt: parts.at ?? new Date(Date.UTC(2026, 10, 1, 0, 0, index)),
    }
  })
  await tier.db.system.inboxMessageRef.createMany({ data: rows })
  return rows.map(({ id }) => id)
}

/** Writes campaigns of a tenant, each with two steps; answers their ids. */
export async function writeCampaigns(tier: OltpTier, workspace: Workspace, names: string[]): Promise<string[]> {
  const { tenantId, companyId, templateId, mailboxId: emailAccountId } = workspace
  const campaigns = names.map((name) => ({ tenantId, id: uuidv7(), companyId, name }))
  await tier.db.system.campaign.createMany({ data: campaigns })
  await tier.db.system.campaignSequenceStep.createMany({
    data: campaigns.flatMap(({ id: campaignId }) =>
      [2, 1].map((stepOrder) => ({ tenantId, id: uuidv7(), campaignId, stepOrder, templateId, emailAccountId })),
    ),
  })
  return campaigns.map(({ id }) => id)
}

/** Has a tenant never write to an address again. */
export async function writeSuppression(tier: OltpTier, { tenantId }: Workspace, email: string): Promise<string> {
  const id = uuidv7()
  await tier.db.system.suppression.create({ data: { tenantId, id, email, reason: 'manual' } })
  return id
}
