import MailComposer from 'nodemailer/lib/mail-composer/index.js'
import type { Random } from './random.ts'
import type { Campaign, Workspace } from './workspace.ts'

/**
 * One mail a campaign has sent and what became of it (`item`, for oltp's `recordSentMessages`), and what a reply needs to
 * know of it (null for a bounced one).
 */
export type SentMail = Awaited<ReturnType<typeof makeSentMail>>

export type Answerable = NonNullable<SentMail['answerable']>

const DAY_MS = 86_400_000

/** The past of a campaign: `count` mails, oldest first, spread over its last four weeks, each with a plausible fate. */
export async function* makeHistory(
  random: Random,
  workspace: Workspace,
  campaign: Campaign,
  count: number,
  now: Date,
): AsyncGenerator<SentMail> {
  for (let index = 0; index < count; index++) {
    const queuedAt = new Date(now.getTime() - (1 + (28 * (count - index)) / count) * DAY_MS)
    yield await makeSentMail(random, workspace, campaign, index, queuedAt)
  }
}

async function makeSentMail(random: Random, workspace: Workspace, campaign: Campaign, index: number, queuedAt: Date) {
  const lead = at(workspace.leads, index)
  const step = at(campaign.steps, Math.floor(index / workspace.leads.length))
  const mailbox = workspace.emailAccounts.find(({ id }) => id === step.emailAccountId) ?? at(workspace.emailAccounts, 0)
  const template = workspace.templates.find(({ id }) => id === step.templateId) ?? at(workspace.templates, 0)
  const fill = (text: string) =>
    text
      .replaceAll('{{lead.name}}', lead.name)
      .replaceAll('{{lead.company}}', lead.company)
      .replaceAll('{{unsubscribe_url}}', `https://${mailbox.email.split('@')[1]}/u/${lead.id}`)
  const id = random.id()
  const messageId = `<${id}@${mailbox.email.split('@')[1]}>`
  const subject = fill(template.subject)
  const raw = await new MailComposer({
    from: { name: mailbox.displayName, address: mailbox.email },
    to: { name: lead.name, address: lead.email },
    subject,
    text: fill(template.bodyText),
    html: fill(template.bodyHtml),
    date: queuedAt,
    messageId,
  })
    .compile()
    .build()
  const item = {
    tenantId: workspace.tenant.id,
    id,
    emailAccountId: mailbox.id,
    campaignId: campaign.id,
    stepId: step.id,
    leadId: lead.id,
    raw: raw.toString('base64'),
    ...makeFate(random, queuedAt),
  }
  return { item, answerable: 'bouncedAt' in item ? null : { id, messageId, subject, lead, mailbox: mailbox.email } }
}

/** 3 % bounce, 46 % of the rest are opened (a third of those by a mail provider's proxy), 9 % clicked. */
function makeFate(random: Random, queuedAt: Date) {
  const { fake } = random
  const after = (from: Date, minutes: number) =>
    new Date(from.getTime() + fake.number.int({ min: 1, max: minutes }) * 60_000)
  const sentAt = after(queuedAt, 20)
  const times = { queuedAt: queuedAt.toISOString(), sentAt: sentAt.toISOString() }
  if (random.chance(0.03)) return { ...times, bouncedAt: after(sentAt, 5).toISOString(), bounceType: 'HARD' }
  const deliveredAt = after(sentAt, 10)
  const delivered = { ...times, deliveredAt: deliveredAt.toISOString() }
  if (!random.chance(0.46)) return delivered
  const openedAt = after(deliveredAt, 600)
  const opened = {
    ...delivered,
    openedAt: openedAt.toISOString(),
    openClass: random.chance(0.33) ? 'PROXY' : 'HUMAN',
  }
  return random.chance(0.2) ? { ...opened, clickedAt: after(openedAt, 30).toISOString() } : opened
}

function at<Item>(items: readonly Item[], index: number): Item {
  return items[index % items.length] as Item
}
