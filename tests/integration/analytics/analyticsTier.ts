import { randomBytes, randomUUID } from 'node:crypto'
import pg from 'pg'
import type { Caller } from '#platform/caller/caller.ts'
import { parseConfig } from '#platform/config.ts'
import type { EmailEventJob } from '#platform/contracts/emailEvent.ts'
import { buildAnalytics } from '../../../subgraphs/analytics/app.ts'
import { analyticsConfig } from '../../../subgraphs/analytics/config.ts'
import type { AnalyticsDatabase } from '../../../subgraphs/analytics/context.ts'
import { createTierDatabase } from '../../support/postgres.ts'
import { openTierDoor } from '../../support/tierDoor.ts'

type Answer = {
  // biome-ignore lint/suspicious/noExplicitAny: a test states the shape it expects
  data: any
  errors?: { message: string; extensions: { code: string } }[]
}

/** The analytics tier on a database of its own, asked without a network. */
export type AnalyticsTier = {
  db: AnalyticsDatabase
  /** A connection as the role that owns the tables. */
  owner: pg.Client
  ask(query: string, variables: object, caller: Caller): Promise<Answer>
  stop(): Promise<void>
}

export async function startAnalyticsTier(): Promise<AnalyticsTier> {
  const database = await createTierDatabase('analytics')
  const keys = { gateway: randomBytes(32), worker: randomBytes(32), queue: randomBytes(32) }
  const config = parseConfig(analyticsConfig, {
    LOG_LEVEL: 'silent',
    ANALYTICS_DATABASE_URL: database.url,
    ANALYTICS_SYSTEM_DATABASE_URL: database.systemUrl,
    CALLER_KEY_GATEWAY_ANALYTICS: keys.gateway.toString('base64'),
    CALLER_KEY_WORKER_ANALYTICS: keys.worker.toString('base64'),
    CALLER_KEY_ANALYTICS_QUEUE: keys.queue.toString('base64'),
    QUEUE_URL: 'http://127.0.0.1:1/graphql',
  })
  const { app, db, close } = await buildAnalytics(config)
  const ask = await openTierDoor<Answer>(app, 'analytics', (from) => (from === 'worker' ? keys.worker : keys.gateway))
  const owner = new pg.Client({ connectionString: database.ownerUrl })
  await owner.connect()
  return {
    db,
    owner,
    ask,
    async stop() {
      await close()
      await owner.end()
      await database.drop()
    },
  }
}

export function userOf(tenantId: string, ...roles: string[]): Caller {
  return { kind: 'user', from: 'gateway', tenantId, userId: randomUUID(), roles, requestId: 'test' }
}

export const STAFF: Caller = {
  kind: 'staff',
  from: 'gateway',
  tenantId: null,
  userId: randomUUID(),
  roles: ['support'],
  requestId: 'test',
}

export const WORKER: Caller = {
  kind: 'service',
  from: 'worker',
  tenantId: null,
  userId: null,
  roles: [],
  requestId: 'test',
}

/** A `sent` event of a new mail on 2026-03-02, unless told otherwise. */
export function makeEvent(parts: Partial<EmailEventJob> & { tenantId: string }): EmailEventJob {
  return {
    eventId: randomUUID(),
    eventType: 'sent',
    occurredAt: '2026-03-02T10:00:00.000Z',
    acceptedAt: '2026-03-02T10:00:01.000Z',
    localDay: '2026-03-02',
    messageId: randomUUID(),
    ...parts,
  }
}
