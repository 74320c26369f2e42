import { randomBytes, randomUUID } from 'node:crypto'
import { CALLER_HEADER, type Caller, signCaller } from '#platform/caller/caller.ts'
import { parseConfig } from '#platform/config.ts'
import { buildQueue } from '../../../subgraphs/queue/app.ts'
import { queueConfig } from '../../../subgraphs/queue/config.ts'
import { createTierDatabase } from '../../support/postgres.ts'

export type Answer = {
  // biome-ignore lint/suspicious/noExplicitAny: a test states the shape it expects
  data: any
  errors?: { message: string; path?: (string | number)[]; extensions: { code: string } }[]
}

/** The queue tier on a database of its own, asked without a network. */
export async function startQueueTier() {
  const database = await createTierDatabase('queue')
  const keys = new Map(
    ['gateway', 'oltp', 'content', 'analytics', 'queue'].map((from) => [from, randomBytes(32)] as const),
  )
  const config = parseConfig(queueConfig, {
    LOG_LEVEL: process.env.TEST_LOG_LEVEL ?? 'silent',
    QUEUE_DATABASE_URL: database.url,
    QUEUE_SYSTEM_DATABASE_URL: database.systemUrl,
    ...Object.fromEntries(
      [...keys].map(([from, key]) => [`CALLER_KEY_${from.toUpperCase()}_QUEUE`, key.toString('base64')]),
    ),
  })
  const { subgraph, db, relay } = await buildQueue(config)
  return {
    db,
    sql: db.systemSql,
    relay,
    async ask(query: string, variables: object, caller: Caller): Promise<Answer> {
      const edge = { from: caller.from, to: 'queue' as const, key: keys.get(caller.from) as Buffer }
      const answer = await subgraph.app.inject({
        method: 'POST',
        url: '/graphql',
        headers: { [CALLER_HEADER]: signCaller(caller, edge) },
        payload: { query, variables },
      })
      return answer.json()
    },
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
