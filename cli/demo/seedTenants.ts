import { setTimeout as sleep } from 'node:timers/promises'
import { AppError } from '#platform/errors.ts'
import type { GatewayClient } from '#platform/graph/gatewayClient.ts'
import type { ServiceClient } from '#platform/graph/serviceClient.ts'
import { Tally } from '../ingest/tally.ts'
import { uploadMails } from '../ingest/upload.ts'
import { makeHistory, type SentMail } from './history.ts'
import { makeReplies, pickCorpusMails } from './incoming.ts'
import type { TenantPlan } from './plan.ts'
import { makeRandom } from './random.ts'
import { makeWorkspace } from './workspace.ts'

export type SeedClients = {
  /** As the development tools, asking oltp's internal operations. */
  oltp: ServiceClient
  /** As the owner of this tenant, asking the gateway. */
  graphFor(plan: TenantPlan): GatewayClient
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
  const workspace = makeWorkspace(random, plan, now)
  await clients.oltp.request(PROVISION, { input: workspace }, { timeoutMs: 60_000 })

  const sent: SentMail[] = []
  for (const campaign of workspace.campaigns.slice(0, plan.size.campaigns)) {
    const history = await makeHistory(random, workspace, campaign, plan.size.sentPerCampaign, now)
    for (let first = 0; first < history.length; first += SENT_PER_CALL) {
      const items = history.slice(first, first + SENT_PER_CALL).map(({ item }) => item)
      await clients.oltp.request(RECORD_SENT, { input: { items } }, { timeoutMs: 60_000 })
    }
    sent.push(...history)
    onProgress(`${sent.length} sent mails`)
  }
  const replyCount = plan.size.campaigns * plan.size.repliesPerCampaign
  const corpus = await pickCorpusMails(random, replyCount + plan.size.corpusMails)
  const replies = makeReplies(random, corpus.slice(0, replyCount), sent)
  const tally = new Tally()
  await uploadMails([...replies, ...corpus.slice(replyCount)], {
    graph: clients.graphFor(plan),
    emailAccountId: null,
    concurrency: UPLOADS_AT_ONCE,
    tally,
  })
  onProgress(`${tally.total} mails received`)
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
