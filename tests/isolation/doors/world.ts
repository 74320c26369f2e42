import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { TIERS, type Tier } from '#platform/contracts/tiers.ts'
import { DEMO, RIVAL, startPlatform, type TestPlatform } from '../../support/graph.ts'
import { KINDS, type Kind, sourceOf } from './kinds.ts'
import { restartCampaign, writeAlert, writeLateRows, writeRows } from './seedRows.ts'
import { foundTenant, type Plan, planTenant, sealedTexts, useTenant } from './seedTenant.ts'
import { collectTexts, type Owners } from './tenantRows.ts'

/** Every field of everything is asked at once here: far more than a client may. */
const UNLIMITED = Object.fromEntries(
  ['DEPTH', 'FIELDS', 'ALIASES', 'DIRECTIVES', 'COST'].map((name) => [`MAX_OPERATION_${name}`, '1000000000']),
)

export type SeededTenant = {
  plan: Plan
  as: typeof DEMO
  /** Texts that stand in this tenant's rows and in nobody else's. */
  markers: string[]
  /** An id of a kind that the tenant has. */
  idOf(kind: Kind): string
}

/** How long a `beforeAll` that builds a world may take. */
export const WORLD_TIMEOUT_MS = 300_000

/** The platform with two tenants that have something in every table. No worker runs: nothing changes by itself. */
export type World = {
  platform: TestPlatform
  owners: Owners
  demo: SeededTenant
  rival: SeededTenant
  stop(): Promise<void>
}

const REFRESH = 'mutation { refreshAnalyticsViews }'

/** @param beforeRival called when demo has all its data and there is no rival yet */
export async function buildWorld(
  beforeRival: (platform: TestPlatform) => Promise<void> = async () => {},
): Promise<World> {
  const platform = await startPlatform({ worker: true, gateway: UNLIMITED })
  const connections: pg.Client[] = []
  const connect = (role: 'systemUrl' | 'ownerUrl') => connectAll(platform, role, connections)
  const stop = async () => {
    await Promise.all(connections.map((connection) => connection.end()))
    await platform.stop()
  }
  try {
    const [systems, owners] = [await connect('systemUrl'), await connect('ownerUrl')]
    await writeAlert(systems)
    const plans = { demo: planTenant('demo'), rival: planTenant('rival') }
    for (const slug of ['demo', 'rival'] as const) {
      const plan = plans[slug]
      await foundTenant(platform, plan)
      await useTenant(platform, plan, slug === 'demo' ? DEMO : RIVAL)
      await writeRows(systems, plan)
      await drain(platform, owners)
      await restartCampaign(systems, plan)
      await platform.tierClient('analytics').request(REFRESH)
      if (slug === 'demo') await beforeRival(platform)
    }
    await platform.stopWorker()
    for (const plan of Object.values(plans)) await writeLateRows(systems, plan)
    const [demo, rival] = [
      await describeTenant(owners, plans.demo, DEMO),
      await describeTenant(owners, plans.rival, RIVAL),
    ]
    const shared = new Set([...demo.texts].filter((text) => rival.texts.has(text)))
    return { platform, owners, demo: ownTexts(demo, shared), rival: ownTexts(rival, shared), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function connectAll(platform: TestPlatform, role: 'systemUrl' | 'ownerUrl', opened: pg.Client[]) {
  const entries = await Promise.all(
    TIERS.map(async (tier) => {
      const client = new pg.Client({ connectionString: platform.databases[tier][role] })
      opened.push(client)
      await client.connect()
      return [tier, client] as const
    }),
  )
  return Object.fromEntries(entries) as Record<Tier, pg.Client>
}

/** Waits until nothing is on its way: no event to be delivered, no job due now or in a moment, no mail to be indexed. */
async function drain(platform: TestPlatform, owners: Owners, timeoutMs = 60_000): Promise<void> {
  const asked = Date.now()
  const count = async (tier: Tier, sql: string) =>
    Number((await owners[tier].query(`SELECT count(*) FROM ${sql}`)).rows[0].count)
  for (let quiet = 0; quiet < 3; await delay(100)) {
    const outboxes = await Promise.all(TIERS.map((tier) => count(tier, 'outbox_events')))
    const jobs = await count(
      'queue',
      `jobs WHERE status = 'processing' OR status = 'queued' AND run_at <= now() + interval '2 seconds'`,
    )
    const mails = await count('content', 'content_search WHERE search_vector IS NULL')
    const open = outboxes.reduce((sum, waiting) => sum + waiting, jobs + mails)
    quiet = open === 0 ? quiet + 1 : 0
    if (Date.now() - asked > timeoutMs) throw new Error(`after ${timeoutMs} ms ${open} things are still on their way`)
  }
  await platform.settle()
}

type Described = Omit<SeededTenant, 'markers'> & { texts: Set<string> }

async function describeTenant(owners: Owners, plan: Plan, as: typeof DEMO): Promise<Described> {
  const texts = await collectTexts(owners, plan.tenantId)
  for (const text of sealedTexts(plan.slug)) texts.add(text)
  return { plan, as, texts, idOf: await findIds(owners, plan.tenantId) }
}

function ownTexts({ texts, ...tenant }: Described, shared: ReadonlySet<string>): SeededTenant {
  return { ...tenant, markers: [...texts].filter((text) => !shared.has(text)) }
}

async function findIds(owners: Owners, tenantId: string): Promise<SeededTenant['idOf']> {
  const ids = new Map<Kind, string>()
  for (const kind of KINDS) {
    const { tier, sql } = sourceOf(kind)
    const { rows } = await owners[tier].query<{ value: string }>(`${sql} LIMIT 1`, [tenantId])
    if (!rows[0]?.value) throw new Error(`the tenant ${tenantId} has no ${kind}`)
    ids.set(kind, rows[0].value)
  }
  return (kind) => ids.get(kind) as string
}
