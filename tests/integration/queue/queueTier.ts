import { randomBytes, randomUUID } from 'node:crypto'
import type { Caller } from '#platform/caller/caller.ts'
import { parseConfig } from '#platform/config.ts'
import { buildQueue } from '../../../subgraphs/queue/app.ts'
import { queueConfig } from '../../../subgraphs/queue/config.ts'
import { failJobs } from '../../../subgraphs/queue/engine/acknowledge.ts'
import { claimJobs } from '../../../subgraphs/queue/engine/claim.ts'
import { createTierDatabase } from '../../support/postgres.ts'
import { openTierDoor } from '../../support/tierDoor.ts'
import { enqueue, makeWorker, request } from './queueDatabase.ts'

export type Answer = {
  // biome-ignore lint/suspicious/noExplicitAny: a test states the shape it expects
  data: any
  errors?: { message: string; path?: (string | number)[]; extensions: { code: string } }[]
}

/** The queue tier on a database of its own, listening. */
export async function startQueueTier() {
  const database = await createTierDatabase('queue')
  const keys = new Map(['gateway', 'oltp', 'content', 'analytics'].map((from) => [from, randomBytes(32)] as const))
  const config = parseConfig(queueConfig, {
    LOG_LEVEL: process.env.TEST_LOG_LEVEL ?? 'silent',
    QUEUE_DATABASE_URL: database.url,
    QUEUE_SYSTEM_DATABASE_URL: database.systemUrl,
    ...Object.fromEntries(
      [...keys].map(([from, key]) => [`CALLER_KEY_${from.toUpperCase()}_QUEUE`, key.toString('base64')]),
    ),
  })
  const { subgraph, db, relay } = await buildQueue(config)
  const keyOf = (from: string) => keys.get(from) as Buffer
  const ask = await openTierDoor<Answer>(subgraph.app, 'queue', keyOf)
  return {
    db,
    sql: db.systemSql,
    relay,
    ask,
    async stop() {
      await subgraph.close()
      await database.drop()
    },
  }
}
export type QueueTier = Awaited<ReturnType<typeof startQueueTier>>

/** A user of a tenant, as the gateway vouches for it. */
export function userOf(tenantId: string, ...roles: string[]): Caller {
  return { kind: 'user', from: 'gateway', tenantId, userId: randomUUID(), roles, requestId: 'test' }
}

export const OPERATOR: Caller = {
  kind: 'staff',
  from: 'gateway',
  tenantId: null,
  userId: '01930000-0000-7000-8000-00000000057a',
  roles: ['operator'],
  requestId: 'test',
}
export const SUPPORT: Caller = { ...OPERATOR, roles: ['support'] }
export const OLTP: Caller = { ...OPERATOR, kind: 'service', from: 'oltp', userId: null, roles: [] }

/** Jobs of the demo tenant that have failed for good. */
export async function makeDeadLetters(sql: QueueTier['sql'], count: number, changes: object = {}): Promise<string[]> {
  const jobs = Array.from({ length: count }, () =>
    request({ queueName: 'content-archival', maxAttempts: 1, ...changes }),
  )
  const ids = await enqueue(sql, ...jobs)
  const workerId = await makeWorker(sql)
  const claim = await claimJobs(sql, { workerId, queueName: 'content-archival', limit: 100, leaseMs: 60_000 })
  const failure = {
    message: 'disk full',
    details: { name: 'Error' },
    fingerprint: 'disk',
    permanent: true,
    durationMs: 5,
  }
  await failJobs(
    sql,
    (claim?.jobs ?? []).map((job) => ({ ...job, ...failure })),
  )
  return ids
}

/** What the audit log of a tenant will be told of an action: the payloads of the jobs that carry it. */
export async function findAudits(sql: QueueTier['sql'], tenantId: string, action: string) {
  const { rows } = await sql.query<{ payload: Record<string, unknown> }>(
    `SELECT payload FROM jobs WHERE tenant_id = $1 AND job_type = 'recordAudit' AND payload->>'action' = $2`,
    [tenantId, action],
  )
  return rows.map(({ payload }) => payload)
}
