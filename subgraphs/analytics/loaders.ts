import DataLoader from 'dataloader'
import type { Caller } from '#platform/caller/caller.ts'
import type { Connection } from '#platform/database/pages.ts'
import type { TenantPool } from '#platform/database/tenantPool.ts'
import { PLATFORM_TENANT, runAsTenant } from '#platform/database/tenantScope.ts'
import type { AnalyticsDatabase } from './context.ts'
import {
  CAMPAIGN_FACTS,
  type FactTable,
  type Granularity,
  LEAD_FACTS,
  MAILBOX_FACTS,
  STEP_FACTS,
  sumFacts,
  sumFactsByTime,
} from './services/aggregates.ts'
import { batchAuditEntries } from './services/auditLog.ts'
import type { Days } from './services/days.ts'
import { batchEvents, type EmailEventRow, type EventParent, type PageArgs } from './services/emailEvents.ts'
import { type InfrastructureKind, listInfrastructure } from './services/infrastructure.ts'
import { computeHealth } from './services/mailboxes.ts'
import { listWarmups } from './services/warmups.ts'

/** Something asked of one entity, with the arguments it was asked with. */
type Asked<Args> = { id: string; args: Args }

export type Loaders = ReturnType<typeof makeLoaders>

/**
 * The loaders of one request: what a hundred entities are asked for with the same arguments is one statement (two for
 * pages of events). Ids are UUIDs, in any case.
 */
export function makeLoaders(db: AnalyticsDatabase, caller: Caller) {
  const sql = db.tenantSql
  return {
    campaigns: totalsLoader(sql, CAMPAIGN_FACTS),
    steps: totalsLoader(sql, STEP_FACTS),
    mailboxes: totalsLoader(sql, MAILBOX_FACTS),
    leads: totalsLoader(sql, LEAD_FACTS),
    campaignSeries: makeLoader((ids, args: { days: Days; granularity: Granularity }) =>
      sumFactsByTime(sql, CAMPAIGN_FACTS, ids, args),
    ),
    health: makeLoader((ids, _none: null) => computeHealth(sql, ids)),
    warmups: makeLoader((ids, days: Days) => listWarmups(sql, ids, days)),
    infrastructure: makeLoader((ids, { kind, days }: { kind: InfrastructureKind; days: Days }) =>
      asPlatformIfStaff(caller, () => listInfrastructure(sql, kind, ids, days)),
    ),
    events: makeLoader<{ parent: EventParent; page: PageArgs }, Connection<EmailEventRow>>((ids, { parent, page }) =>
      batchEvents(db, { parent, ids, page }),
    ),
    auditEntries: makeLoader((ids, _none: null) => batchAuditEntries(db, ids)),
  }
}

function totalsLoader(sql: TenantPool, facts: FactTable) {
  return makeLoader((ids, days: Days) => sumFacts(sql, facts, ids, days))
}

/** The facts of servers and addresses belong to the platform: staff, who have no tenant, read them as the platform. */
export function asPlatformIfStaff<Result>(caller: Caller, work: () => Promise<Result>): Promise<Result> {
  return caller.kind === 'staff' ? runAsTenant(PLATFORM_TENANT, work) : work()
}

function makeLoader<Args, Found>(batch: (ids: string[], args: Args) => Promise<ReadonlyMap<string, Found>>) {
  return new DataLoader<Asked<Args>, Found | null, string>(
    async (asked) => {
      const groups = new Map<string, { args: Args; ids: Set<string> }>()
      for (const { id, args } of asked) {
        const group = groups.get(JSON.stringify(args)) ?? { args, ids: new Set<string>() }
        groups.set(JSON.stringify(args), group)
        group.ids.add(id.toLowerCase())
      }
      const found = new Map<string, ReadonlyMap<string, Found>>()
      for (const [key, { args, ids }] of groups) found.set(key, await batch([...ids], args))
      return asked.map(({ id, args }) => found.get(JSON.stringify(args))?.get(id.toLowerCase()) ?? null)
    },
    { cacheKeyFn: ({ id, args }) => `${id.toLowerCase()} ${JSON.stringify(args)}` },
  )
}
