import { setTimeout as sleep } from 'node:timers/promises'
import type { MailServer } from '#platform/contracts/mailServers.ts'
import { AppError } from '#platform/errors.ts'
import type { GatewayClient } from '#platform/graph/gatewayClient.ts'
import type { ServiceClient } from '#platform/graph/serviceClient.ts'
import { Tally } from '../ingest/tally.ts'
import { uploadMails } from '../ingest/upload.ts'
import { type Answerable, makeHistory, type SentMail } from './history.ts'
import { makeReply, pickCorpusMails } from './incoming.ts'
import type { TenantPlan } from './plan.ts'
import { makeRandom, type Random } from './random.ts'
import { makeWorkspace } from './workspace.ts'

export type SeedClients = {
  /** As the development tools, asking oltp's internal operations. */
  oltp: ServiceClient
  /** As the owner of this tenant, asking the gateway. */
  graphFor(plan: TenantPlan): GatewayClient
  /** Where the mailboxes send to: the sandbox. */
  smtp: MailServer
}

const PROVISION = `mutation Provision($input: ProvisionTenantInput!) { provisionTenant(input: $input) { created } }`
const RECORD_SENT = `mutation RecordSent($input: RecordSentMessagesInput!) {
  recordSentMessages(input: $input) { id status }
}`
const FRESHNESS = `{ campaigns(first: 1) { nodes { analytics { asOf } } } }`

const SENT_PER_CALL = 50
const UPLOADS_AT_ONCE = 8
const SETTLE_DEADLINE_MS = 60_000

/**
 * Fills the planned tenants with made-up work and real mail, all of it through the product's own doors: workspaces and
 * sent mail through oltp's internal operations, replies and corpus mail through `ingestMessage`. Facts come of the events.
 * Doing it again changes nothing. Ends when the graph counts everything that was written.
 * @throws AppError of the tier that refused
 */
export async function seedTenants(
  plans: readonly TenantPlan[],
  clients: SeedClients,
  onProgress: (message: string) => void,
): Promise<void> {
  for (const plan of plans) {
    onProgress(`tenant ${plan.slug}: workspace`)
    await seedTenant(plan, clients, (message) => onProgress(`tenant ${plan.slug}: ${message}`))
  }
  onProgress('waiting until every event is counted')
  const written = new Date()
  for (const plan of plans) await untilCounted(clients.graphFor(plan), written)
}

async function seedTenant(plan: TenantPlan, clients: SeedClients, onProgress: (message: string) => void) {
  const random = makeRandom(plan.seed)
  const now = new Date()
  const workspace = makeWorkspace(random, plan, { smtp: clients.smtp, now })
  await clients.oltp.request(PROVISION, { input: workspace }, { timeoutMs: 60_000 })

  const answerable: Answerable[] = []
  for (const campaign of workspace.campaigns.slice(0, plan.size.campaigns)) {
    const history = makeHistory(random, workspace, campaign, plan.size.sentPerCampaign, now)
    answerable.push(...(await recordSent(clients.oltp, history)))
    onProgress(`${campaign.name}: ${plan.size.sentPerCampaign} sent mails`)
  }
  const replies = plan.size.campaigns * plan.size.repliesPerCampaign
  const answered = random.fake.helpers.arrayElements(answerable, replies)
  const tally = new Tally()
  await uploadMails(incomingMails(random, answered, plan.size.corpusMails), {
    graph: clients.graphFor(plan),
    emailAccountId: null,
    concurrency: UPLOADS_AT_ONCE,
    tally,
  })
  onProgress(`${tally.total} mails received`)
}

async function recordSent(oltp: ServiceClient, history: AsyncIterable<SentMail>): Promise<Answerable[]> {
  const answerable: Answerable[] = []
  let items: SentMail['item'][] = []
  const flush = async () => {
    if (items.length > 0) await oltp.request(RECORD_SENT, { input: { items } }, { timeoutMs: 60_000 })
    items = []
  }
  for await (const mail of history) {
    items.push(mail.item)
    if (mail.answerable) answerable.push(mail.answerable)
    if (items.length === SENT_PER_CALL) await flush()
  }
  await flush()
  return answerable
}

/** Replies first, then mail that answers nothing. */
async function* incomingMails(random: Random, answered: readonly Answerable[], others: number) {
  const bodies = pickCorpusMails(random, 'ham', answered.length)
  for (const sent of answered) {
    const { value } = await bodies.next()
    if (value) yield makeReply(value, sent)
  }
  yield* pickCorpusMails(random, 'any', others)
}

/** Freshness is a watermark: once it has passed `instant`, every event accepted before is counted. */
async function untilCounted(graph: GatewayClient, instant: Date): Promise<void> {
  const deadline = Date.now() + SETTLE_DEADLINE_MS
  for (;;) {
    const { data } = await graph.ask<{ campaigns: { nodes: { analytics: { asOf: string } | null }[] } }>(FRESHNESS)
    const asOf = data?.campaigns?.nodes[0]?.analytics?.asOf
    if (asOf && new Date(asOf) >= instant) return
    if (Date.now() > deadline) {
      throw new AppError(
        'UNAVAILABLE',
        `events are still not counted (asOf ${asOf ?? 'unknown'}): is the worker running?`,
      )
    }
    await sleep(100)
  }
}
